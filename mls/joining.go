package mls

import (
	"bytes"

	"codeberg.org/huis/huis/internal/wire"
)

// OpenGroupInfo decrypts the GroupInfo of a Welcome, to find in its extensions
// where the tree is. Its signature is checked only by [Join].
func OpenGroupInfo(w *Welcome, kp *KeyPackageBundle, psks PSKSource) (*GroupInfo, error) {
	o, err := openWelcome(w, kp, psks)
	if err != nil {
		return nil, err
	}
	return o.info, nil
}

// openedWelcome is a Welcome that decrypted; nothing in it has been verified.
type openedWelcome struct {
	suite   *algorithms
	secrets *GroupSecrets
	member  Secret
	info    *GroupInfo
}

func openWelcome(w *Welcome, kp *KeyPackageBundle, psks PSKSource) (*openedWelcome, error) {
	if w.CipherSuite != kp.KeyPackage.CipherSuite {
		return nil, invalid("12.4.3.1", "Welcome and key package are of different cipher suites")
	}
	a, err := w.CipherSuite.algorithms()
	if err != nil {
		return nil, err
	}
	ref, err := kp.KeyPackage.Ref()
	if err != nil {
		return nil, err
	}
	o := &openedWelcome{suite: a}
	if o.secrets, err = w.openGroupSecrets(a, ref, kp.InitKey); err != nil {
		return nil, err
	}
	if err := o.validatePSKs(); err != nil {
		return nil, err
	}
	inputs, err := findPSKs(o.secrets.PSKs, psks)
	if err != nil {
		return nil, err
	}
	o.member = a.memberSecret(o.secrets.JoinerSecret, a.pskSecret(inputs))
	o.info, err = a.openGroupInfo(a.welcomeSecret(o.member), w.EncryptedGroupInfo)
	return o, err
}

// validatePSKs checks the pre-shared keys' ids (Section 12.4.3.1): at most one is
// for re-initialization or branching.
func (o *openedWelcome) validatePSKs() error {
	special := 0
	for i := range o.secrets.PSKs {
		id := &o.secrets.PSKs[i]
		if len(id.PSKNonce) != o.suite.hashSize() {
			return invalid("12.4.3.1", "nonce of a pre-shared key has %d bytes", len(id.PSKNonce))
		}
		if id.PSKType == PSKResumption && id.Usage != UsageApplication {
			special++
		}
	}
	if special > 1 {
		return invalid("12.4.3.1", "Welcome names two pre-shared keys for re-initialization or branching")
	}
	return nil
}

// Join enters the epoch a Welcome leads to (RFC 9420, Section 12.4.3.1). The
// caller deletes the bundle, unless it is a last resort, in the transaction that
// writes the delta.
func Join(w *Welcome, kp *KeyPackageBundle, join JoinOptions, opt Options) (*Group, Delta, error) {
	psks := join.pskSource(&opt)
	o, err := openWelcome(w, kp, psks)
	if err != nil {
		return nil, nil, err
	}
	if o.info.GroupContext.CipherSuite != w.CipherSuite {
		return nil, nil, invalid("12.4.3.1", "Welcome and GroupInfo are of different cipher suites")
	}
	tree, err := o.info.verifiedTree(join.RatchetTree, &opt)
	if err != nil {
		return nil, nil, err
	}
	e, err := o.epoch(tree, kp)
	if err != nil {
		return nil, nil, err
	}
	if err := join.validatePredecessor(o, tree); err != nil {
		return nil, nil, err
	}
	if opt.ValidateCommit != nil {
		staged := &StagedCommit{Committer: o.info.Signer, Sender: Sender{SenderType: SenderMember, LeafIndex: o.info.Signer}}
		if err := opt.ValidateCommit(nil, &GroupView{context: &e.context, tree: tree}, staged); err != nil {
			return nil, nil, invalid("12.4.3.1", "Welcome refused by the application: %v", err)
		}
	}
	return begin(e, tree, opt)
}

// verifiedTree returns the tree of a GroupInfo, from its extension or given
// apart, after all checks of Section 12.4.3.1.
func (g *GroupInfo) verifiedTree(given *RatchetTree, opt *Options) (*ratchetTree, error) {
	c := &g.GroupContext
	if c.Version != MLS10 {
		return nil, invalid("12.4.3.1", "GroupInfo is of another version")
	}
	a, err := c.CipherSuite.algorithms()
	if err != nil {
		return nil, err
	}
	if err := validateExtensionList(g.Extensions); err != nil {
		return nil, err
	}
	if data, found := FindExtension(g.Extensions, ExtensionRatchetTree); found {
		if given, err = ParseRatchetTree(data); err != nil {
			return nil, err
		}
	}
	if given == nil {
		return nil, invalid("12.4.3.3", "no ratchet tree in the GroupInfo and none given")
	}
	tree := given.tree(a)
	tree.meter = opt.meter
	if !bytes.Equal(tree.treeHash(), c.TreeHash) {
		return nil, invalid("12.4.3.1", "ratchet tree is not the one of the GroupInfo")
	}
	signer := tree.leaf(g.Signer)
	if signer == nil {
		return nil, invalid("12.4.3.1", "GroupInfo is signed by the blank leaf %d", g.Signer)
	}
	if err := g.verifySignature(a, signer.SignatureKey); err != nil {
		return nil, err
	}
	return tree, tree.verify(c, opt)
}

// pauseEvery is after how many leaves Options.Pause is called.
const pauseEvery = 64

// verify checks a tree from somebody else with the GroupContext it came with.
func (t *ratchetTree) verify(c *GroupContext, opt *Options) error {
	if err := t.verifyStructure(); err != nil {
		return err
	}
	if err := t.validateMembers(c.Extensions); err != nil {
		return err
	}
	for i, l := range t.members() {
		if i%pauseEvery == pauseEvery-1 && opt.Pause != nil {
			opt.Pause()
		}
		if err := t.validateLeafContent(t.leaf(l), c.GroupID, l, opt); err != nil {
			return err
		}
	}
	return nil
}

// epoch finds the joiner in the tree and derives its view of the epoch.
func (o *openedWelcome) epoch(tree *ratchetTree, kp *KeyPackageBundle) (*epoch, error) {
	own, err := tree.find(&kp.KeyPackage.LeafNode)
	if err != nil {
		return nil, err
	}
	private := privateKeys{own.node(): kp.EncryptionKey}
	if s := o.secrets.PathSecret; s != nil {
		if err := tree.joinPath(own, o.info.Signer, s.PathSecret, private); err != nil {
			return nil, err
		}
	}
	context := wire.MustEncode(o.info.GroupContext.wire)
	e := &epoch{
		context: o.info.GroupContext, secrets: o.suite.epochSecrets(o.member, context),
		own: own, private: private, signer: kp.SignatureKey,
	}
	if err := o.suite.verifyConfirmationTag(e.secrets.ConfirmationKey, e.context.ConfirmedTranscriptHash, o.info.ConfirmationTag); err != nil {
		return nil, err
	}
	e.confirm(o.suite)
	return e, nil
}

// find returns the leaf that is n, byte for byte.
func (t *ratchetTree) find(n *LeafNode) (LeafIndex, error) {
	want := wire.MustEncode(n.wire)
	for _, l := range t.members() {
		m := t.leaf(l)
		if bytes.Equal(m.SignatureKey, n.SignatureKey) && bytes.Equal(wire.MustEncode(m.wire), want) {
			return l, nil
		}
	}
	return 0, invalid("12.4.3.1", "joiner's leaf is not in the ratchet tree")
}

// joinPath derives the keys a joiner shares with the committer, from the lowest
// node both are under.
func (t *ratchetTree) joinPath(own, committer LeafIndex, secret Secret, private privateKeys) error {
	if own == committer {
		return invalid("12.4.3.1", "joiner signed its own Welcome")
	}
	at := commonAncestor(own, committer)
	steps := t.filteredPath(committer)
	for i, step := range steps {
		if step.node != at {
			continue
		}
		for _, s := range steps[i:] {
			if t.parent(s.node) == nil {
				return invalid("12.4.3.1", "node %d on the committer's path is blank", s.node)
			}
		}
		_, err := t.climb(secret, steps[i:], private)
		return err
	}
	return invalid("12.4.3.1", "committer's path has no node above the joiner")
}
