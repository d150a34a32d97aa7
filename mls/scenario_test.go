package mls

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"testing"
)

// The scenario scripts of the interop runner, played by our own members in one
// process: each script for each suite and both framings of handshakes. After
// every step that starts an epoch all members must have the same epoch
// authenticator.

func init() {
	for _, name := range []string{
		"application", "branch", "commit", "deep_random", "external_join", "external_proposals", "reinit", "welcome_join",
	} {
		file := "interop-configs/" + name + ".json"
		vectorRunners[file] = runScenarios
	}
}

// scenarioSuites are the suites of RFC 9420 that this package has.
var scenarioSuites = []CipherSuite{
	X25519AES128SHA256Ed25519, P256AES128SHA256P256, X25519ChaChaSHA256Ed25519, P521AES256SHA512P521, P384AES256SHA384P384,
}

type scenarioFile struct {
	Scripts map[string][]scenarioStep `json:"scripts"`
}

type scenarioStep struct {
	Action string `json:"action"`
	Actor  string `json:"actor"`

	KeyPackage  int                 `json:"keyPackage"`
	Removed     string              `json:"removed"`
	PSK         int                 `json:"pskID"`
	Epoch       uint64              `json:"epochID"`
	Extensions  []scenarioExtension `json:"extensions"`
	Clients     []string            `json:"clients"`
	Signer      string              `json:"signer"`
	Member      string              `json:"member"`
	Description *scenarioProposal   `json:"description"`

	ByReference  []int              `json:"byReference"`
	ByValue      []scenarioProposal `json:"byValue"`
	Members      []string           `json:"members"`
	Joiners      []string           `json:"joiners"`
	ForcePath    bool               `json:"force_path"`
	ExternalTree bool               `json:"external_tree"`

	Joiner             string `json:"joiner"`
	ExternalTreeJoin   bool   `json:"externalTree"`
	RemovePrior        bool   `json:"removePrior"`
	PSKs               []int  `json:"psks"`
	Plaintext          string `json:"plaintext"`
	AuthenticatedData  string `json:"authenticatedData"`
	Ciphertext         int    `json:"ciphertext"`
	Proposer           string `json:"proposer"`
	ExternalReInit     *int   `json:"externalReinitProposal"`
	Committer          string `json:"committer"`
	Welcomer           string `json:"welcomer"`
	ChangeGroupID      bool   `json:"changeGroupID"`
	ChangeCipherSuite  bool   `json:"changeCiphersuite"`
	ForcePathSuccessor bool   `json:"forcePath"`
}

type scenarioProposal struct {
	ProposalType      string              `json:"proposalType"`
	KeyPackage        int                 `json:"keyPackage"`
	Removed           string              `json:"removed"`
	PSK               int                 `json:"pskID"`
	Epoch             uint64              `json:"epochID"`
	Extensions        []scenarioExtension `json:"extensions"`
	ChangeGroupID     bool                `json:"changeGroupID"`
	ChangeCipherSuite bool                `json:"changeCipherSuite"`
}

type scenarioExtension struct {
	Type ExtensionType `json:"extension_type"`
	Data []byte        `json:"extension_data"`
}

func runScenarios(f *vectorFile) {
	var file scenarioFile
	d := json.NewDecoder(bytes.NewReader(f.raw))
	d.DisallowUnknownFields()
	if err := d.Decode(&file); err != nil {
		f.failures = append(f.failures, err.Error())
		return
	}
	for _, name := range sortedKeys(file.Scripts) {
		suites, framings := scenarioSuites, []framing{private, public}
		if len(file.Scripts[name]) > 1000 && os.Getenv("HUIS_MLS_LONG") == "" {
			// 1,670 steps with up to 40 members: one run in which both framings take
			// turns. HUIS_MLS_LONG=1 makes all the runs.
			suites, framings = suites[:1], []framing{mixed}
		}
		for _, suite := range suites {
			for _, fr := range framings {
				f.runCase(fmt.Sprintf("%s (%s)", name, fr), suite, func(c *vectorCase) {
					newScenario(c, suite, fr).play(file.Scripts[name])
				})
			}
		}
	}
}

// framing of handshake messages in one run.
type framing string

const (
	private framing = "PrivateMessage"
	public  framing = "PublicMessage"
	mixed   framing = "one, then the other"
)

func newScenario(c *vectorCase, suite CipherSuite, f framing) *scenario {
	return &scenario{c: c, suite: suite, framing: f, public: f == public, actors: map[string]*actor{}, made: map[int]any{}, refs: map[string]ProposalRef{}}
}

// scenario is one run of one script.
type scenario struct {
	c     *vectorCase
	suite CipherSuite
	framing
	public bool // of the next handshake message
	actors map[string]*actor
	made   map[int]any            // what a step gave: a message, a key package, a PSK id
	refs   map[string]ProposalRef // of members' proposals, by their message
	tamper bool                   // change a byte of what the next member gets
}

// actor is a client of the runner.
type actor struct {
	name   string
	signer SignaturePrivateKey
	bundle *KeyPackageBundle // made last
	group  *Group
	psks   map[string]Secret
}

// stop ends a run after its first failure.
type stop struct{}

func (s *scenario) need(what string, err error) {
	if !s.c.noError(what, err) {
		panic(stop{})
	}
}

func (s *scenario) want(what string, ok bool) {
	if !s.c.ok(what, ok) {
		panic(stop{})
	}
}

func (s *scenario) play(steps []scenarioStep) {
	defer func() {
		if r := recover(); r != nil {
			if _, ok := r.(stop); !ok {
				panic(r)
			}
		}
	}()
	for i := range steps {
		step := &steps[i]
		act, ok := scenarioActions[step.Action]
		s.want("action "+step.Action+" is known", ok)
		act(s, i, step)
		if s.framing == mixed {
			s.public = !s.public
		}
	}
}

var scenarioActions = map[string]func(*scenario, int, *scenarioStep){
	"createGroup":                    (*scenario).createGroup,
	"createKeyPackage":               (*scenario).createKeyPackage,
	"installExternalPSK":             (*scenario).installPSK,
	"addProposal":                    (*scenario).propose,
	"updateProposal":                 (*scenario).propose,
	"removeProposal":                 (*scenario).propose,
	"externalPSKProposal":            (*scenario).propose,
	"resumptionPSKProposal":          (*scenario).propose,
	"groupContextExtensionsProposal": (*scenario).propose,
	"addExternalSigner":              (*scenario).addExternalSigner,
	"externalSignerProposal":         (*scenario).externalProposal,
	"newMemberAddProposal":           (*scenario).newMemberAdd,
	"fullCommit":                     (*scenario).fullCommit,
	"externalJoin":                   (*scenario).externalJoin,
	"protect":                        (*scenario).protect,
	"unprotect":                      (*scenario).unprotect,
	"reinit":                         (*scenario).reinit,
	"branch":                         (*scenario).branch,
}

// actor returns the client of a name, made at first mention.
func (s *scenario) actor(name string) *actor {
	if a := s.actors[name]; a != nil {
		return a
	}
	a := &actor{name: name, psks: map[string]Secret{}}
	var err error
	a.signer, _, err = GenerateSignatureKey(s.suite)
	s.need("signature key", err)
	s.actors[name] = a
	return a
}

// member is an actor that has a group.
func (s *scenario) member(name string) *actor {
	a := s.actor(name)
	s.want(name+" has a group", a.group != nil)
	return a
}

func (a *actor) options() Options {
	return Options{MaxResumptionEpochs: 300, PSKs: func(id *PreSharedKeyID) (Secret, error) {
		if psk := a.psks[string(id.PSKID)]; psk != nil && id.PSKType == PSKExternal {
			return psk, nil
		}
		return nil, errNoPSK
	}}
}

func made[T any](s *scenario, i int) T {
	v, ok := s.made[i].(T)
	s.want(fmt.Sprintf("step %d made a %T", i, v), ok)
	return v
}

func (s *scenario) newBundle(a *actor, suite CipherSuite, signer SignaturePrivateKey) *KeyPackageBundle {
	b, err := NewKeyPackage(suite, signer, BasicCredential([]byte(a.name)), KeyPackageOptions{Lifetime: Lifetime{NotAfter: 1 << 62}})
	s.need("key package", err)
	return b
}

// onTheWay is what becomes of a message between two members.
func (s *scenario) onTheWay(msg []byte) []byte {
	if s.tamper {
		msg = bytes.Clone(msg)
		msg[len(msg)/2] ^= 1
	}
	return msg
}

// TestScenariosNoticeOneFlippedByte proves that the scripts can fail: each file
// with one byte of it changed, and with one byte changed on the way to a member.
func TestScenariosNoticeOneFlippedByte(t *testing.T) {
	dir := vectorFolder(t)
	if dir == "" {
		t.Skip(howToGetVectors)
	}
	for name, raw := range readVectors(t, dir) {
		if !strings.HasPrefix(name, "interop-configs/") {
			continue
		}
		changed := bytes.Replace(raw, []byte("createGroup"), []byte("createGrouq"), 1)
		if bytes.Equal(raw, changed) || !scenariosFail(t, changed, false) {
			t.Errorf("%s: a changed byte in the script went unnoticed", name)
		}
		if !scenariosFail(t, raw, true) {
			t.Errorf("%s: a changed byte on the way went unnoticed", name)
		}
	}
}

// scenariosFail tells whether some script fails, or with tamper every one.
func scenariosFail(t *testing.T, raw []byte, tamper bool) bool {
	var file scenarioFile
	if err := json.Unmarshal(raw, &file); err != nil {
		t.Fatal(err)
	}
	failed := 0
	for _, script := range file.Scripts {
		c := &vectorCase{}
		s := newScenario(c, X25519AES128SHA256Ed25519, private)
		s.tamper = tamper
		if !tamper && script[0].Action == "createGroup" {
			continue // not the changed one
		}
		if s.play(script); c.failure != "" {
			failed++
		}
	}
	return failed == len(file.Scripts) || !tamper && failed > 0
}
