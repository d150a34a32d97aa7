//go:build evil

package evil

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/ecdh"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"fmt"
	"hash"
	"net"
	"sync"

	"golang.org/x/crypto/chacha20poly1305"
	"golang.org/x/crypto/cryptobyte"
)

// What somebody does who taps the line: records every byte of the connections,
// and reads them years later (RFC 8446).

// tape is what passed over one connection.
type tape struct {
	mu   sync.Mutex // guards both
	in   []byte     // from the client
	back []byte     // from the server
}

// tap is a listener whose connections are recorded.
type tap struct {
	net.Listener
	made func(*tape)
}

func (t tap) Accept() (net.Conn, error) {
	c, err := t.Listener.Accept()
	if err != nil {
		return nil, err
	}
	r := &tapped{Conn: c, tape: new(tape)}
	t.made(r.tape)
	return r, nil
}

type tapped struct {
	net.Conn
	tape *tape
}

func (t *tapped) Read(b []byte) (int, error) {
	n, err := t.Conn.Read(b)
	t.tape.mu.Lock()
	defer t.tape.mu.Unlock()
	t.tape.in = append(t.tape.in, b[:n]...)
	return n, err
}

func (t *tapped) Write(b []byte) (int, error) {
	n, err := t.Conn.Write(b)
	t.tape.mu.Lock()
	defer t.tape.mu.Unlock()
	t.tape.back = append(t.tape.back, b[:n]...)
	return n, err
}

// logarithms answers whoever can compute discrete logarithms: it knows the
// server's half of every exchange, for it watches them being drawn. It is the
// source of randomness that crypto/tls is given.
type logarithms struct {
	mu    sync.Mutex          // guards known
	known map[[32]byte][]byte // private keys by public ones
}

// Read draws what is asked for and notes it, should it be a private key.
func (l *logarithms) Read(b []byte) (int, error) {
	n, err := rand.Read(b)
	if len(b) == 32 {
		if k, bad := ecdh.X25519().NewPrivateKey(b); bad == nil {
			l.mu.Lock()
			defer l.mu.Unlock()
			l.known[[32]byte(k.PublicKey().Bytes())] = k.Bytes()
		}
	}
	return n, err
}

func (l *logarithms) of(public []byte) *ecdh.PrivateKey {
	l.mu.Lock()
	defer l.mu.Unlock()
	k, err := ecdh.X25519().NewPrivateKey(l.known[[32]byte(public)])
	if err != nil {
		return nil
	}
	return k
}

// record is one TLS record, with its header.
type record struct{ header, body []byte }

func records(b []byte) (all []record) {
	for len(b) >= 5 {
		n := int(binary.BigEndian.Uint16(b[3:])) + 5
		if n > len(b) {
			break
		}
		all = append(all, record{b[:5], b[5:n]})
		b = b[n:]
	}
	return all
}

// hello is what is read of a ClientHello or ServerHello.
type hello struct {
	message []byte // whole, for the transcript
	suite   uint16 // of the server's
	shares  map[tls.CurveID][]byte
}

var errTape = errors.New("not the beginning of a TLS 1.3 connection")

const extKeyShare = 51

// parseHello reads the first handshake message of one side.
func parseHello(all []record, client bool) (h hello, err error) {
	if len(all) == 0 || all[0].header[0] != 22 {
		return h, errTape
	}
	s := cryptobyte.String(all[0].body)
	var kind uint8
	var body, session, random, suites, compression, extensions cryptobyte.String
	if h.message = all[0].body; !s.ReadUint8(&kind) || !s.ReadUint24LengthPrefixed(&body) || !body.Skip(2) || !body.ReadBytes((*[]byte)(&random), 32) || !body.ReadUint8LengthPrefixed(&session) {
		return h, errTape
	}
	if client {
		if !body.ReadUint16LengthPrefixed(&suites) || !body.ReadUint8LengthPrefixed(&compression) {
			return h, errTape
		}
	} else if !body.ReadUint16(&h.suite) || !body.Skip(1) {
		return h, errTape
	}
	if !body.ReadUint16LengthPrefixed(&extensions) {
		return h, errTape
	}
	h.shares = make(map[tls.CurveID][]byte)
	for !extensions.Empty() {
		var id, group uint16
		var data, key cryptobyte.String
		if !extensions.ReadUint16(&id) || !extensions.ReadUint16LengthPrefixed(&data) {
			return h, errTape
		}
		if id != extKeyShare {
			continue
		}
		list := data
		if client && !data.ReadUint16LengthPrefixed(&list) {
			return h, errTape
		}
		for !list.Empty() {
			if !list.ReadUint16(&group) || !list.ReadUint16LengthPrefixed(&key) {
				return h, errTape
			}
			h.shares[tls.CurveID(group)] = key
		}
	}
	return h, nil
}

// protection is the keys of one direction of a connection.
type protection struct {
	aead cipher.AEAD
	iv   []byte
	seq  uint64
}

// open opens a record and returns its content and inner type.
func (p *protection) open(r record) (content []byte, kind byte, err error) {
	nonce := append([]byte{}, p.iv...)
	for i := range 8 {
		nonce[len(nonce)-1-i] ^= byte(p.seq >> (8 * i))
	}
	plain, err := p.aead.Open(nil, nonce, r.body, r.header)
	if err != nil {
		return nil, 0, err
	}
	p.seq++
	for len(plain) > 0 && plain[len(plain)-1] == 0 {
		plain = plain[:len(plain)-1]
	}
	if len(plain) == 0 {
		return nil, 0, errTape
	}
	return plain[:len(plain)-1], plain[len(plain)-1], nil
}

// schedule is the key schedule of a cipher suite (RFC 8446, Section 7.1).
type schedule struct {
	hash func() hash.Hash
	key  int
	aead func([]byte) (cipher.AEAD, error)
}

func scheduleOf(suite uint16) (schedule, error) {
	gcm := func(key []byte) (cipher.AEAD, error) {
		b, err := aes.NewCipher(key)
		if err != nil {
			return nil, err
		}
		return cipher.NewGCM(b)
	}
	switch suite {
	case tls.TLS_AES_128_GCM_SHA256:
		return schedule{sha256.New, 16, gcm}, nil
	case tls.TLS_AES_256_GCM_SHA384:
		return schedule{sha512.New384, 32, gcm}, nil
	case tls.TLS_CHACHA20_POLY1305_SHA256:
		return schedule{sha256.New, 32, chacha20poly1305.New}, nil
	}
	return schedule{}, fmt.Errorf("cipher suite %#04x", suite)
}

func (s schedule) expand(secret []byte, label string, context []byte, n int) []byte {
	var b cryptobyte.Builder
	b.AddUint16(uint16(n))
	b.AddUint8LengthPrefixed(func(b *cryptobyte.Builder) { b.AddBytes([]byte("tls13 " + label)) })
	b.AddUint8LengthPrefixed(func(b *cryptobyte.Builder) { b.AddBytes(context) })
	out, err := hkdf.Expand(s.hash, secret, string(b.BytesOrPanic()), n)
	if err != nil {
		panic("evil: " + err.Error()) // the lengths are constants
	}
	return out
}

func (s schedule) digest(messages ...[]byte) []byte {
	h := s.hash()
	for _, m := range messages {
		h.Write(m)
	}
	return h.Sum(nil)
}

func (s schedule) extract(secret, salt []byte) []byte {
	out, err := hkdf.Extract(s.hash, secret, salt)
	if err != nil {
		panic("evil: " + err.Error())
	}
	return out
}

func (s schedule) derive(secret []byte, label string, transcript ...[]byte) []byte {
	return s.expand(secret, label, s.digest(transcript...), s.hash().Size())
}

func (s schedule) protection(secret []byte) (*protection, error) {
	aead, err := s.aead(s.expand(secret, "key", nil, s.key))
	return &protection{aead: aead, iv: s.expand(secret, "iv", nil, 12)}, err
}

// guesses are the shared secrets that come into question for who knows the
// X25519 part alone: that part, and with it a half of the other kind that is
// guessed.
func guesses(group tls.CurveID, x []byte) [][]byte {
	if group == tls.X25519 {
		return [][]byte{x}
	}
	return [][]byte{x, append(make([]byte, 32), x...), append(append([]byte{}, x...), x...)}
}

// listen reads what the client sent, by the discrete logarithm of the server's
// share. "" if it does not open.
func (t *tape) listen(l *logarithms) (said string, group tls.CurveID, err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	in, back := records(t.in), records(t.back)
	client, err := parseHello(in, true)
	if err != nil {
		return "", 0, err
	}
	server, err := parseHello(back, false)
	if err != nil {
		return "", 0, err
	}
	s, err := scheduleOf(server.suite)
	if err != nil {
		return "", 0, err
	}
	for id, share := range server.shares {
		group = id
		theirs := client.shares[id]
		if len(share) < 32 || len(theirs) < 32 {
			return "", group, errTape
		}
		key := l.of(share[len(share)-32:])
		other, err := ecdh.X25519().NewPublicKey(theirs[len(theirs)-32:])
		if err != nil || key == nil {
			return "", group, errors.New("the discrete logarithm of a server's share is not known")
		}
		x, err := key.ECDH(other)
		if err != nil {
			return "", group, err
		}
		for _, shared := range guesses(id, x) {
			if said, err := s.read(shared, client.message, server.message, in[1:], back[1:]); err == nil {
				return said, group, nil
			}
		}
	}
	return "", group, nil
}

// read opens a connection with a shared secret: first the server's handshake,
// whose hash the further keys need, then the client's.
func (s schedule) read(shared, clientHello, serverHello []byte, in, back []record) (string, error) {
	zero := make([]byte, s.hash().Size())
	secret := s.extract(shared, s.derive(s.extract(zero, nil), "derived"))
	transcript := append(append([]byte{}, clientHello...), serverHello...)
	p, err := s.protection(s.derive(secret, "s hs traffic", transcript))
	if err != nil {
		return "", err
	}
	handshake := append([]byte{}, transcript...)
	if _, err = flight(p, back, &handshake); err != nil {
		return "", err
	}
	if p, err = s.protection(s.derive(secret, "c hs traffic", transcript)); err != nil {
		return "", err
	}
	var finished []byte
	rest, err := flight(p, in, &finished)
	if err != nil {
		return "", err
	}
	master := s.extract(zero, s.derive(secret, "derived"))
	if p, err = s.protection(s.derive(master, "c ap traffic", handshake)); err != nil {
		return "", err
	}
	var said []byte
	for _, r := range rest {
		content, kind, err := p.open(r)
		if err != nil {
			break // the connection was recorded in the middle of a record
		}
		if kind == 23 {
			said = append(said, content...)
		}
	}
	return string(said), nil
}

// flight opens handshake records up to Finished.
func flight(p *protection, all []record, messages *[]byte) (rest []record, err error) {
	var got []byte
	for i, r := range all {
		if r.header[0] == 20 { // change_cipher_spec, which means nothing
			continue
		}
		content, kind, err := p.open(r)
		if err != nil || kind != 22 {
			return nil, errors.Join(err, errTape)
		}
		got = append(got, content...)
		for len(got) >= 4 {
			n := 4 + int(got[1])<<16 + int(got[2])<<8 + int(got[3])
			if len(got) < n {
				break
			}
			*messages = append(*messages, got[:n]...)
			if got[0] == 20 { // finished
				return all[i+1:], nil
			}
			got = got[n:]
		}
	}
	return nil, errTape
}
