package client

import (
	"crypto/ed25519"
	"crypto/hpke"
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"

	"codeberg.org/huis/huis/internal/proto"
	"codeberg.org/huis/huis/internal/wire"
	"codeberg.org/huis/huis/kt"
	"codeberg.org/huis/huis/mls"
)

// The account backup (protocol, section 8) holds what lets a device that has
// nothing but the recovery key find its way back: whom the account knows, in
// which conversations it is and by which member keys, and where the history is.
// It holds no secret of MLS.
//
// It is sealed to a public key that follows from the recovery key. The devices
// keep that half only: they write backups and cannot read them, not even a
// device that was revoked. Each is signed by the device that wrote it.

// How backups are sealed: RFC 9180 with ML-KEM-768 and X25519 together.
var (
	backupKEM  = hpke.MLKEM768X25519()
	backupKDF  = hpke.HKDFSHA256()
	backupAEAD = hpke.ChaCha20Poly1305()
)

// sealingKey is what backups are sealed to. Proof is the recovery key's
// signature, so that a device takes it from another one without trust.
type sealingKey struct {
	Recovery kt.RecoveryPublicKey
	Key      []byte // of backupKEM
	Proof    [ed25519.SignatureSize]byte
}

func (k *sealingKey) wire(c *wire.Codec) {
	formatVersion(c)
	wire.Fixed(c, k.Recovery[:])
	wire.OpaqueMax(c, &k.Key, 2048)
	wire.Fixed(c, k.Proof[:])
}

func (k *sealingKey) proven() []byte {
	return append([]byte("huis/backup-key/1"), k.Key...)
}

// check tells whether the key is the recovery key's own.
func (k *sealingKey) check() error {
	if !k.Recovery.Verify(k.proven(), k.Proof) {
		return errors.New("the backup's key is not one of the recovery key")
	}
	return nil
}

// openingKey opens what is sealed to sealingKeyOf(r).
func openingKey(r kt.RecoveryKey) (hpke.PrivateKey, error) {
	seed := r.Derive("backup")
	return backupKEM.DeriveKeyPair(seed[:])
}

// sealingKeyOf derives the half that devices keep.
func sealingKeyOf(r kt.RecoveryKey) (sealingKey, error) {
	private, err := openingKey(r)
	if err != nil {
		return sealingKey{}, err
	}
	k := sealingKey{Recovery: r.Public(), Key: private.PublicKey().Bytes()}
	k.Proof = r.Sign(k.proven())
	return k, nil
}

// backup is the content.
type backup struct {
	Counter  uint64 // one more than the account's backup before
	Made     uint64 // Unix seconds
	Account  proto.AccountID
	Handle   string
	Own      chainPin // the account's own chain
	LogKeys  logKeys
	LogSize  uint64 // how much of the server's log had been replayed
	LogRoot  kt.Hash
	Contacts []backupContact
	Chats    []backupChat
	Records  []backupRecord
}

// chainPin is a chain up to one of its links.
type chainPin struct {
	Links uint32
	Head  kt.Hash
}

func (p *chainPin) wire(c *wire.Codec) {
	wire.Uint32(c, &p.Links)
	wire.Fixed(c, p.Head[:])
}

func pinOf(c kt.Chain) chainPin { return chainPin{uint32(c.Len()), c.Head()} }

// backupContact is a person this account knows.
type backupContact struct {
	Account proto.AccountID
	Handle  string
	Chain   chainPin
}

func (k *backupContact) wire(c *wire.Codec) {
	k.Account.Wire(c)
	wire.String(c, &k.Handle, proto.MaxHandle)
	k.Chain.wire(c)
}

// backupChat is a conversation. Meta and Head are records of the store.
type backupChat struct {
	Conversation proto.ConversationID
	Meta         []byte
	Head         []byte
	Others       uint32 // devices of other accounts
	History      []historyPart
}

func (h *backupChat) wire(c *wire.Codec) {
	h.Conversation.Wire(c)
	wire.OpaqueMax(c, &h.Meta, 1<<20)
	wire.OpaqueMax(c, &h.Head, 1<<10)
	wire.Uint32(c, &h.Others)
	wire.Vector(c, &h.History, (*historyPart).wire)
}

// historyPart is an archive among the account's blobs.
type historyPart struct {
	First, Last uint64 // seqs
	Whole       bool   // what follows goes into another part
	Ref         []byte // files.Ref, canonical CBOR
}

func (p *historyPart) wire(c *wire.Codec) {
	formatVersion(c)
	wire.Uint64(c, &p.First)
	wire.Uint64(c, &p.Last)
	wire.Bool(c, &p.Whole)
	wire.OpaqueMax(c, &p.Ref, 1024)
}

// backupRecord is a record of the store that is taken over as it is.
type backupRecord struct {
	Key   string
	Value []byte
}

func (r *backupRecord) wire(c *wire.Codec) {
	wire.String(c, &r.Key, 1024)
	wire.OpaqueMax(c, &r.Value, 1<<20)
}

func (b *backup) wire(c *wire.Codec) {
	wire.Uint64(c, &b.Counter)
	wire.Uint64(c, &b.Made)
	b.Account.Wire(c)
	wire.String(c, &b.Handle, proto.MaxHandle)
	b.Own.wire(c)
	b.LogKeys.wire(c)
	wire.Uint64(c, &b.LogSize)
	wire.Fixed(c, b.LogRoot[:])
	wire.Vector(c, &b.Contacts, (*backupContact).wire)
	wire.Vector(c, &b.Chats, (*backupChat).wire)
	wire.Vector(c, &b.Records, (*backupRecord).wire)
}

// signedBackup is what is sealed.
type signedBackup struct {
	Device  proto.DeviceID // of the account, who wrote it
	Content []byte         // backup; a later version may have more behind it
	Sig     []byte         // by the device's message key
}

func (s *signedBackup) wire(c *wire.Codec) {
	formatVersion(c)
	s.Device.Wire(c)
	wire.Opaque(c, &s.Content)
	wire.OpaqueMax(c, &s.Sig, ed25519.SignatureSize)
}

func (s *signedBackup) signed(a proto.AccountID) []byte {
	sum := sha256.Sum256(s.Content)
	return slices.Concat([]byte("huis/backup-sign/1"), a[:], s.Device[:], sum[:])
}

// signedBy tells whether a message key that is or was the device's signed.
func signedBy(d kt.Device, message, sig []byte) bool {
	return slices.ContainsFunc(d.Messages, func(p kt.MessageKeyPeriod) bool {
		return ed25519.Verify(p.Key[:], message, sig)
	})
}

// Bounds of a sealed backup, in bytes: the smallest one, so that what is in a
// small account's does not show, and what a device reads into memory.
const (
	minBackup = 32 << 10
	maxBackup = 64 << 20
)

// backupBucket is the size n bytes are padded to: a power of two, or half way
// to the next.
func backupBucket(n int) int {
	for size := minBackup; ; size *= 2 {
		switch {
		case n <= size:
			return size
		case n <= size+size/2:
			return size + size/2
		}
	}
}

func backupInfo(k kt.RecoveryPublicKey) []byte {
	return append([]byte("huis/backup/1"), k[:]...)
}

// seal signs, pads and encrypts the backup.
func (b *backup) seal(k sealingKey, device proto.DeviceID, m mls.SignaturePrivateKey) ([]byte, error) {
	public, err := backupKEM.NewPublicKey(k.Key)
	if err != nil {
		return nil, err
	}
	s := signedBackup{Device: device}
	if s.Content, err = wire.Encode(b.wire); err != nil {
		return nil, err
	}
	if s.Sig, err = signWith(m)(s.signed(b.Account)); err != nil {
		return nil, err
	}
	plain, err := wire.Encode(func(c *wire.Codec) { wire.Struct(c, s.wire) })
	if err != nil {
		return nil, err
	}
	if len(plain) > maxBackup/2 {
		return nil, fmt.Errorf("%w: the account's backup has %d bytes", ErrTooLarge, len(plain))
	}
	plain = append(plain, make([]byte, backupBucket(len(plain))-len(plain))...)
	return hpke.Seal(public, backupKDF, backupAEAD, backupInfo(k.Recovery), plain)
}

// errNotOurs: a blob that the recovery key does not open.
var errNotOurs = errors.New("the backup does not open with this recovery key")

// openBackup decrypts a backup and verifies that a device of the chain wrote it
// for this account. revoked tells that this device is revoked by now.
func openBackup(sealed []byte, r kt.RecoveryKey, chain kt.Chain) (b *backup, revoked bool, err error) {
	private, err := openingKey(r)
	if err != nil {
		return nil, false, err
	}
	plain, err := hpke.Open(private, backupKDF, backupAEAD, backupInfo(r.Public()), sealed)
	if err != nil {
		return nil, false, errNotOurs
	}
	var s signedBackup
	rest, err := wire.DecodePrefix(plain, func(c *wire.Codec) { wire.Struct(c, s.wire) })
	if err != nil {
		return nil, false, fmt.Errorf("the backup: %w", err)
	}
	if slices.ContainsFunc(rest, func(p byte) bool { return p != 0 }) {
		return nil, false, errors.New("the backup: its padding is not zero")
	}
	account := proto.AccountID(chain.Account())
	d, ok := chain.Device(kt.DeviceID(s.Device))
	if !ok || !signedBy(d, s.signed(account), s.Sig) {
		return nil, false, errors.New("the backup was not written by a device of this account")
	}
	b = new(backup)
	if _, err := wire.DecodePrefix(s.Content, b.wire); err != nil {
		return nil, false, fmt.Errorf("the backup: %w", err)
	}
	if b.Account != account {
		return nil, false, errors.New("the backup is another account's")
	}
	return b, d.Revoked, nil
}

// backupPointer is what the server keeps for the account's devices: where the
// backup is, and who made it when. It is nothing the server does not see anyway.
type backupPointer struct {
	Device proto.DeviceID
	Day    uint32 // since 1970
	Nr     uint64 // backup.Counter
	Blob   proto.BlobID
	Size   uint64
	Hash   proto.Hash // of the sealed bytes
}

func (p *backupPointer) wire(c *wire.Codec) {
	formatVersion(c)
	p.Device.Wire(c)
	wire.Uint32(c, &p.Day)
	wire.Uint64(c, &p.Nr)
	p.Blob.Wire(c)
	wire.Uint64(c, &p.Size)
	p.Hash.Wire(c)
}
