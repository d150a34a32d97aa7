package e2e

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/coder/websocket"

	"codeberg.org/huis/huis/internal/rpc"
)

// face is an interface connected to a core.
type face struct {
	t      *testing.T
	origin string
	get    func() (rpc.Frame, error)
	put    func(rpc.Frame) error

	mu     sync.Mutex
	next   uint32
	calls  map[uint32]chan rpc.Frame
	events chan rpc.Frame
}

// openApp starts huis app on a profile and connects to it.
func openApp(t *testing.T, d *Device) *face {
	t.Helper()
	link, ended := make(chan string, 1), make(chan error, 1)
	go func() {
		ended <- d.Stream(func(o Object) {
			if u, ok := o["url"].(string); ok {
				link <- u
			}
		}, "app")
	}()
	t.Cleanup(func() {
		d.Interrupt()
		<-ended
	})
	select {
	case u := <-link:
		return connect(t, u)
	case err := <-ended:
		ended <- nil
		t.Fatalf("huis app ended: %v", err)
	case <-time.After(20 * time.Second):
		t.Fatal("huis app prints no link")
	}
	return nil
}

func connect(t *testing.T, link string) *face {
	t.Helper()
	origin, token, found := strings.Cut(link, "/#token=")
	if !found {
		t.Fatalf("%s is no link", link)
	}
	session, status := exchange(t, origin, origin, token)
	if status != http.StatusOK {
		t.Fatalf("the token is refused: %d", status)
	}
	conn, _, err := websocket.Dial(t.Context(), origin+"/rpc/socket", &websocket.DialOptions{
		Subprotocols: []string{"huis", session}, HTTPHeader: http.Header{"Origin": {origin}},
	})
	if err != nil {
		t.Fatal(err)
	}
	conn.SetReadLimit(64 << 20)
	t.Cleanup(func() { conn.CloseNow() })
	ctx := t.Context()
	get := func() (rpc.Frame, error) {
		_, b, err := conn.Read(ctx)
		if err != nil {
			return rpc.Frame{}, err
		}
		return rpc.ParseFrame(b)
	}
	put := func(f rpc.Frame) error {
		return conn.Write(ctx, websocket.MessageBinary, f.Encode())
	}
	return newFace(t, origin, get, put)
}

func newFace(t *testing.T, origin string, get func() (rpc.Frame, error), put func(rpc.Frame) error) *face {
	f := &face{t: t, origin: origin, get: get, put: put, calls: map[uint32]chan rpc.Frame{}, events: make(chan rpc.Frame, 10000)}
	go f.read()
	return f
}

// exchange posts a token as a page of origin would.
func exchange(t *testing.T, server, origin, token string) (session string, status int) {
	t.Helper()
	req, err := http.NewRequest(http.MethodPost, server+"/rpc/session", strings.NewReader(token))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Origin", origin)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, _ := io.ReadAll(resp.Body)
	return string(b), resp.StatusCode
}

// read passes on what comes, until the connection ends.
func (f *face) read() {
	for {
		frame, err := f.get()
		if err != nil {
			return
		}
		f.mu.Lock()
		c := f.calls[frame.ID]
		f.mu.Unlock()
		if c == nil {
			c = f.events
		}
		c <- frame
	}
}

func (f *face) write(frame rpc.Frame) {
	if err := f.put(frame); err != nil {
		f.t.Error(err)
	}
}

// call makes a call; answer gets its events and gives what to answer them with.
func (f *face) call(method string, request, answer any, on func(rpc.Frame) *rpc.Frame) error {
	payload, err := json.Marshal(request)
	if err != nil {
		return err
	}
	c := make(chan rpc.Frame, 100)
	f.mu.Lock()
	f.next++
	id := f.next
	f.calls[id] = c
	f.mu.Unlock()
	f.write(rpc.Frame{ID: id, Kind: rpc.KindCall, Method: method, Payload: payload})
	for {
		select {
		case frame := <-c:
			switch frame.Kind {
			case rpc.KindOK:
				return json.Unmarshal(frame.Payload, answer)
			case rpc.KindErr:
				e := new(rpc.Error)
				if err := json.Unmarshal(frame.Payload, e); err != nil {
					return err
				}
				return e
			}
			if on == nil {
				continue
			}
			if reply := on(frame); reply != nil {
				reply.ID, reply.Kind, reply.Method = id, rpc.KindEvent, frame.Method
				f.write(*reply)
			}
		case <-time.After(60 * time.Second):
			return fmt.Errorf("%s: no answer", method)
		}
	}
}

// ask is call that has to succeed.
func ask[A any](f *face, method string, request any) (a A) {
	f.t.Helper()
	if err := f.call(method, request, &a, nil); err != nil {
		f.t.Fatalf("%s: %v", method, err)
	}
	return a
}

// await waits for an event that suits.
func await[E any](f *face, name string, suits func(E) bool) (e E) {
	f.t.Helper()
	limit := time.After(60 * time.Second)
	for {
		select {
		case frame := <-f.events:
			var e E
			if frame.Method == name && json.Unmarshal(frame.Payload, &e) == nil && suits(e) {
				return e
			}
		case <-limit:
			f.t.Fatalf("no event %s", name)
		}
	}
}

func isNew(body string) func(rpc.NewMessageEvent) bool {
	return func(e rpc.NewMessageEvent) bool { return e.Message.Body == body }
}

// TestAppIsTheWholeClient joins, talks and manages through the calls of an
// interface, with a command-line client on the other side.
func TestAppIsTheWholeClient(t *testing.T) {
	s := house(t)
	wholeClient(t, s, openApp(t, s.NewDevice(t.TempDir(), "ada")))
}

// wholeClient is what every core has to do, wherever it runs; ada has no account
// yet.
func wholeClient(t *testing.T, s *Server, ada *face) {
	t.Helper()
	if st := ask[rpc.State](ada, "state", nil); st.Phase != rpc.PhaseNew {
		t.Fatalf("an empty profile is %q", st.Phase)
	}
	var refused *rpc.Error
	if err := ada.call("chats", nil, new(rpc.ChatList), nil); !asError(err, &refused) || refused.Code != rpc.CodeNoProfile {
		t.Fatalf("chats without a profile: %v", err)
	}
	joined := ask[rpc.Joined](ada, "join", rpc.JoinRequest{Invite: s.Invite, Handle: "ada"})
	if joined.State.Phase != rpc.PhaseReady || !joined.State.RecoveryUnconfirmed || joined.RecoveryKey == "" {
		t.Fatalf("joined as %+v", joined.State)
	}
	if ask[rpc.Confirmed](ada, "recovery.confirm", rpc.RecoveryConfirm{Key: "wrong"}).Right {
		t.Error("a wrong recovery key is taken for the right one")
	}
	if k := ask[rpc.RecoveryKey](ada, "recovery.show", nil).Key; k != joined.RecoveryKey {
		t.Errorf("shown again it is %q", k)
	}
	if !ask[rpc.Confirmed](ada, "recovery.confirm", rpc.RecoveryConfirm{Key: strings.ToLower(joined.RecoveryKey)}).Right {
		t.Error("the recovery key is not recognised")
	}
	bob := s.NewDevice(t.TempDir(), "bob")
	must(t, bob, "join", ask[rpc.Invite](ada, "invite.make", rpc.InviteRequest{}).Link, "--handle", "bob")

	chat := ask[rpc.Chat](ada, "chat.new", rpc.NewChat{Name: "kitchen", People: []string{"bob"}})
	if chat.Name != "kitchen" || chat.Role != rpc.RoleAdmin || chat.People != 2 {
		t.Fatalf("made %+v", chat)
	}
	sent := ask[rpc.Sent](ada, "message.send", rpc.SendRequest{Chat: chat.ID, Body: "Who has the key?"})
	if sent.Message.State != rpc.MessageWaiting || sent.Message.Seq != 0 {
		t.Errorf("sent %+v", sent.Message)
	}
	messages := func() rpc.MessagesPage { // without what happened in the chat
		p := ask[rpc.MessagesPage](ada, "messages", rpc.MessagesRequest{Chat: chat.ID})
		p.Messages = slices.DeleteFunc(p.Messages, func(m rpc.Message) bool { return m.Kind == rpc.MessageEvent })
		return p
	}
	for messages().Messages[0].State != rpc.MessageSent { // or bob may be first
		await(ada, "messages", func(e rpc.MessagesEvent) bool { return e.Chat == chat.ID })
	}
	must(t, bob, "send", "kitchen", "@ada I have it")
	event := await(ada, "message", isNew("@ada I have it"))
	if !event.Message.Mention || event.Chat.Unread != 1 || !event.Chat.Mentioned {
		t.Errorf("told of %+v in %+v", event.Message, event.Chat)
	}
	page := messages()
	if len(page.Messages) != 2 || page.Messages[0].ID != sent.Message.ID || page.Messages[0].State != rpc.MessageSent {
		t.Fatalf("the chat is %+v", page)
	}
	theirs := page.Messages[1]
	ask[rpc.Empty](ada, "chat.read", rpc.MarkRead{Chat: chat.ID, Seq: theirs.Seq})
	await(ada, "chats", func(e rpc.ChatsEvent) bool { return len(e.Chats) == 1 && e.Chats[0].Unread == 0 })

	aboutMessages(t, ada, chat, page.Messages[0], theirs)
	filesOfAnInterface(t, ada, bob, chat)
	searching(t, ada, chat, theirs)
	manage(t, ada, chat)
}

func asError(err error, to **rpc.Error) bool {
	e, ok := err.(*rpc.Error)
	*to = e
	return ok
}

// aboutMessages answers, reacts, edits and takes back.
func aboutMessages(t *testing.T, ada *face, chat rpc.Chat, own, theirs rpc.Message) {
	look := func(seq int64, suits func(rpc.Message) bool) {
		t.Helper()
		for end := time.Now().Add(30 * time.Second); time.Now().Before(end); {
			l := ask[rpc.MessageList](ada, "messages.get", rpc.MessageIDs{Chat: chat.ID, Seqs: []int64{seq}})
			if len(l.Messages) == 1 && suits(l.Messages[0]) {
				return
			}
			await(ada, "messages", func(e rpc.MessagesEvent) bool { return e.Chat == chat.ID })
		}
		t.Fatal("the message does not become what it should")
	}
	ask[rpc.Empty](ada, "message.react", rpc.ReactRequest{Chat: chat.ID, Message: theirs.ID, Emoji: "🎉"})
	look(theirs.Seq, func(m rpc.Message) bool { return len(m.Reactions) == 1 && m.Reactions[0].Own })
	ask[rpc.Empty](ada, "message.react", rpc.ReactRequest{Chat: chat.ID, Message: theirs.ID})
	look(theirs.Seq, func(m rpc.Message) bool { return len(m.Reactions) == 0 })
	ask[rpc.Empty](ada, "message.edit", rpc.EditRequest{Chat: chat.ID, Message: own.ID, Body: "Who has both keys?"})
	look(own.Seq, func(m rpc.Message) bool { return m.Body == "Who has both keys?" && m.Edited != 0 })
	var refused *rpc.Error
	err := ada.call("message.edit", rpc.EditRequest{Chat: chat.ID, Message: theirs.ID, Body: "no"}, new(rpc.Empty), nil)
	if !asError(err, &refused) || refused.Code != rpc.CodeForbidden {
		t.Errorf("editing another's message: %v", err)
	}
	reply := ask[rpc.Sent](ada, "message.send", rpc.SendRequest{Chat: chat.ID, Body: "Good.", Reply: theirs.ID}).Message
	if reply.Reply == nil || reply.Reply.From != "bob" || reply.Reply.Body != "@ada I have it" {
		t.Errorf("a reply to %+v", reply.Reply)
	}
	ask[rpc.Empty](ada, "message.delete", rpc.MessageID{Chat: chat.ID, Message: own.ID})
	look(own.Seq, func(m rpc.Message) bool { return m.Kind == rpc.MessageGone && m.Body == "" })
}

// filesOfAnInterface sends a file that only the interface has and reads it back.
func filesOfAnInterface(t *testing.T, ada *face, bob *Device, chat rpc.Chat) {
	t.Helper()
	content := bytes.Repeat([]byte("0123456789abcdef"), 200_000) // more than three pieces
	give := func(f rpc.Frame) *rpc.Frame {
		var w rpc.FileWant
		if f.Method != "file.want" || json.Unmarshal(f.Payload, &w) != nil {
			return nil
		}
		return &rpc.Frame{Payload: json.RawMessage("{}"), Bytes: content[w.Offset : w.Offset+int64(w.Length)]}
	}
	var sent rpc.Sent
	err := ada.call("message.send", rpc.SendRequest{Chat: chat.ID, Files: []rpc.FileInfo{{Name: "plan.bin", Size: int64(len(content))}}}, &sent, give)
	if err != nil {
		t.Fatal(err)
	}
	if len(sent.Message.Attachments) != 1 || sent.Message.Attachments[0].Size != int64(len(content)) {
		t.Fatalf("sent %+v", sent.Message)
	}
	sentYet := func() bool {
		page := ask[rpc.MessagesPage](ada, "messages", rpc.MessagesRequest{Chat: chat.ID, Limit: 1})
		return len(page.Messages) > 0 && page.Messages[len(page.Messages)-1].State == rpc.MessageSent
	}
	for !sentYet() {
		await(ada, "messages", func(e rpc.MessagesEvent) bool { return e.Chat == chat.ID })
	}
	var got []byte
	take := func(f rpc.Frame) *rpc.Frame {
		if f.Method != "file.chunk" {
			return nil
		}
		got = append(got, f.Bytes...)
		return &rpc.Frame{Payload: json.RawMessage("{}")}
	}
	request := rpc.AttachmentRequest{Chat: chat.ID, Message: sent.Message.ID}
	if err := ada.call("attachment.read", request, new(rpc.Attachment), take); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, content) {
		t.Errorf("%d bytes came back", len(got))
	}
	all := must(t, bob, "read", "kitchen")
	last := all[len(all)-1]
	if list, ok := last["attachments"].([]any); !ok || len(list) != 1 {
		t.Errorf("the command line has %v", last)
	}
}

// searching finds parts of words, without case and accents, and not what is gone.
func searching(t *testing.T, ada *face, chat rpc.Chat, theirs rpc.Message) {
	t.Helper()
	sent := ask[rpc.Sent](ada, "message.send", rpc.SendRequest{Chat: chat.ID, Body: "Élève 🎉 Straße"}).Message
	find := func(text string) rpc.SearchResult {
		return ask[rpc.SearchResult](ada, "search", rpc.SearchRequest{Text: text})
	}
	for len(find("eleve strass").Hits) == 0 {
		await(ada, "messages", func(e rpc.MessagesEvent) bool { return e.Chat == chat.ID })
	}
	hit := find("eleve strass").Hits[0]
	if hit.Message.ID != sent.ID || len(hit.Ranges) != 2 || hit.Ranges[0] != [2]int{0, 5} || hit.Ranges[1] != [2]int{9, 14} {
		t.Errorf("found %+v", hit)
	}
	if r := find("AVE it"); len(r.Hits) != 1 || r.Hits[0].Message.ID != theirs.ID || r.Cursor != "" {
		t.Errorf("found %+v", r)
	}
	if r := find("plan.b"); len(r.Hits) != 1 {
		t.Errorf("a file's name is found %d times", len(r.Hits))
	}
	if r := find("keys"); len(r.Hits) != 0 {
		t.Errorf("what was taken back is found: %+v", r)
	}
}

// manage renames, sets, lists and leaves.
func manage(t *testing.T, ada *face, chat rpc.Chat) {
	t.Helper()
	if c := ask[rpc.Chat](ada, "chat.rename", rpc.Rename{Chat: chat.ID, Name: "dining room"}); c.Name != "dining room" || c.ID != chat.ID {
		t.Errorf("renamed to %+v", c)
	}
	if c := ask[rpc.Chat](ada, "chat.expiry", rpc.SetExpiry{Chat: chat.ID, Seconds: 3600}); c.Expiry != 3600 {
		t.Errorf("messages disappear after %d s", c.Expiry)
	}
	l := ask[rpc.MemberList](ada, "members.role", rpc.SetRole{Chat: chat.ID, Person: "bob", Role: rpc.RoleAdmin})
	if len(l.Members) != 2 || l.Members[0].Role != rpc.RoleAdmin || l.Members[1].Role != rpc.RoleAdmin || !l.MayRemove {
		t.Errorf("members %+v", l)
	}
	ask[rpc.Empty](ada, "chat.draft", rpc.SetDraft{Chat: chat.ID, Text: "half a"})
	if c := ask[rpc.Chat](ada, "chat", rpc.ChatID{Chat: chat.ID}); c.Draft != "half a" || c.Muted {
		t.Errorf("the draft is %q", c.Draft)
	}
	if c := ask[rpc.Chat](ada, "chat.mute", rpc.SetMuted{Chat: chat.ID, Muted: true}); !c.Muted {
		t.Error("not muted")
	}
	ask[rpc.Settings](ada, "settings.set", rpc.Settings{Values: map[string]string{"theme": "dark"}})
	if v := ask[rpc.Settings](ada, "settings", nil).Values; len(v) != 1 || v["theme"] != "dark" {
		t.Errorf("settings %v", v)
	}
	direct := ask[rpc.Chat](ada, "chat.open", rpc.OpenChat{Person: "@bob"})
	if direct.Kind != rpc.ChatDirect || direct.Person != "bob" {
		t.Errorf("opened %+v", direct)
	}
	if p := ask[rpc.PersonList](ada, "people", nil); len(p.People) != 2 {
		t.Errorf("people %+v", p)
	}
	if d := ask[rpc.PersonDetail](ada, "person", rpc.PersonName{Handle: "bob"}); len(d.History) == 0 || len(d.Words) != 12 || d.Person.Chat != direct.ID {
		t.Errorf("bob is %+v", d)
	}
	if d := ask[rpc.PersonDetail](ada, "person.verify", rpc.Verify{Handle: "bob", Yes: true}); d.Person.Trust != rpc.TrustVerified || d.Person.Verified == 0 {
		t.Errorf("verified, bob is %+v", d.Person)
	}
	if d := ask[rpc.DeviceList](ada, "devices", nil); len(d.Devices) != 1 || !d.Devices[0].Own {
		t.Errorf("devices %+v", d)
	}
	if st := ask[rpc.Status](ada, "sync", nil); !st.Online || st.LastSync == 0 {
		t.Errorf("status %+v", st)
	}
	if c := ask[rpc.Chat](ada, "chat.leave", rpc.ChatID{Chat: chat.ID}); c.State != rpc.ChatLeft {
		t.Errorf("left is %q", c.State)
	}
}

// TestAppLetsOnlyItsPageIn plays a web page that points a name at this computer,
// one of another origin, and one without the token.
func TestAppLetsOnlyItsPageIn(t *testing.T) {
	s := house(t)
	f := openApp(t, s.NewDevice(t.TempDir(), "ada"))
	get := func(path, host, origin string, header http.Header) int {
		t.Helper()
		req, err := http.NewRequest(http.MethodGet, f.origin+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		if header != nil {
			req.Header = header
		}
		if host != "" {
			req.Host = host
		}
		if origin != "" {
			req.Header.Set("Origin", origin)
		}
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if resp.Header.Get("Access-Control-Allow-Origin") != "" {
			t.Error("another origin is allowed in")
		}
		if !strings.Contains(resp.Header.Get("Content-Security-Policy"), "require-trusted-types-for 'script'") && resp.StatusCode == 200 {
			t.Errorf("%s has no policy", path)
		}
		return resp.StatusCode
	}
	socket := func(session string) http.Header {
		return http.Header{
			"Connection": {"Upgrade"}, "Upgrade": {"websocket"}, "Sec-Websocket-Version": {"13"},
			"Sec-Websocket-Key": {"AAAAAAAAAAAAAAAAAAAAAA=="}, "Sec-Websocket-Protocol": {"huis, " + session},
		}
	}
	for name, got := range map[string]int{
		"its own page":                       get("/", "", "", nil) - 200 + 400,
		"a name that leads here":             get("/", "evil.example", "", nil) - 421 + 400,
		"localhost, which is another origin": get("/", "localhost", "", nil) - 421 + 400,
		"a socket without session":           get("/rpc/socket", "", f.origin, socket("guess")) - 401 + 400,
		"a socket under another name":        get("/rpc/socket", "evil.example", f.origin, socket("guess")) - 421 + 400,
		"a file that is not there":           get("/a/0/app.js", "", "", nil) - 404 + 400,
		"a way out of the folder":            get("/a/../../etc/passwd.txt", "", "", nil) - 404 + 400,
		"a session of nobody":                get("/rpc/session", "", "", nil) - 401 + 400,
	} {
		if got != 400 {
			t.Errorf("%s: off by %d", name, got-400)
		}
	}
	if _, status := exchange(t, f.origin, "http://evil.example", "x"); status != http.StatusForbidden {
		t.Errorf("a token from another page: %d", status)
	}
	if _, status := exchange(t, f.origin, f.origin, "x"); status != http.StatusUnauthorized {
		t.Errorf("a wrong token: %d", status)
	}
}
