package delivery

import (
	"bytes"
	"context"
	"time"

	"codeberg.org/huis/huis/internal/delivery/session"
	"codeberg.org/huis/huis/internal/delivery/store"
	"codeberg.org/huis/huis/internal/proto"
	"codeberg.org/huis/huis/mls"
)

const (
	ticketDays      = 7
	tokenDays       = 7
	maxPackageLife  = 30 * 24 * time.Hour
	packageSlack    = 24 * time.Hour // lifetimes begin a little in the past
	inboxFetchItems = 64
	maxWait         = 55 * time.Second
)

func inbox(d session.Device) store.Inbox { return store.Inbox{Account: d.Account, Device: d.Device} }

// Publish replaces the pool of key packages of the session's device.
func (s *Service) Publish(ctx context.Context, r *proto.PublishRequest) (*proto.Empty, error) {
	d, err := s.Sessions.Device(r.Session)
	if err != nil {
		return nil, err
	}
	if len(r.Packages) > proto.MaxKeyPackages {
		return nil, proto.Refuse(proto.TooLarge)
	}
	var pool []store.KeyPackage
	for _, b := range r.Packages {
		p, err := s.keyPackage(b, d)
		if err != nil {
			return nil, err
		}
		pool = append(pool, *p)
	}
	var last *store.KeyPackage
	if len(r.LastResort) > 0 {
		if last, err = s.keyPackage(r.LastResort, d); err != nil {
			return nil, err
		}
	}
	if err := account(s.throttles.publishes, s.Clock.Now(), d.Account); err != nil {
		return nil, err
	}
	return &proto.Empty{}, s.Store.Publish(ctx, inbox(d), pool, last)
}

// keyPackage checks size, suite, credential and lifetime (protocol.md, 14);
// whether to believe the package is for the clients to judge.
func (s *Service) keyPackage(b []byte, d session.Device) (*store.KeyPackage, error) {
	if len(b) > proto.MaxKeyPackage {
		return nil, proto.Refuse(proto.TooLarge)
	}
	k, err := mls.ParseKeyPackage(b)
	if err != nil {
		return nil, proto.Refuse(proto.Malformed)
	}
	identity := append(append([]byte{}, d.Account[:]...), d.Device[:]...)
	c := k.LeafNode.Credential
	if k.CipherSuite != mls.XWingChaChaSHA384Ed25519 || k.LeafNode.Source != mls.SourceKeyPackage ||
		c.CredentialType != mls.CredentialBasic || !bytes.Equal(c.Identity, identity) {
		return nil, proto.Refuse(proto.Forbidden)
	}
	now, life := s.Clock.Now(), k.LeafNode.Lifetime
	longest := uint64((maxPackageLife + packageSlack) / time.Second)
	if life.NotAfter < life.NotBefore || life.NotAfter-life.NotBefore > longest ||
		life.NotAfter > uint64(now.Unix())+longest || life.NotAfter < uint64(now.Unix()) {
		return nil, proto.Refuse(proto.Forbidden)
	}
	return &store.KeyPackage{Bytes: b, Expires: store.DayOf(time.Unix(int64(life.NotAfter), 0))}, nil
}

// PackageCount counts what is left of the pool of the session's device.
func (s *Service) PackageCount(ctx context.Context, r *proto.PackageCountRequest) (*proto.PackageCountResponse, error) {
	d, err := s.Sessions.Device(r.Session)
	if err != nil {
		return nil, err
	}
	n, last, err := s.Store.PackageCount(ctx, inbox(d))
	if err != nil {
		return nil, err
	}
	return &proto.PackageCountResponse{Count: uint32(n), LastResort: last}, nil
}

// Claim takes a key package of each device of an account. Who claimed is
// stored nowhere.
func (s *Service) Claim(ctx context.Context, r *proto.ClaimRequest) (*proto.ClaimResponse, error) {
	d, err := s.Sessions.Device(r.Session)
	if err != nil {
		return nil, err
	}
	if err := account(s.throttles.claims, s.Clock.Now(), d.Account); err != nil {
		return nil, err
	}
	got, err := s.Store.Claim(ctx, r.Account, r.Device, s.today(), s.today()+ticketDays)
	if err != nil {
		return nil, err
	}
	return &proto.ClaimResponse{Packages: got}, nil
}

// InboxPost puts a sealed item into an inbox.
func (s *Service) InboxPost(ctx context.Context, r *proto.InboxPostRequest) (*proto.Empty, error) {
	d, err := s.Sessions.Device(r.Session)
	if err != nil {
		return nil, err
	}
	if len(r.Sealed) > proto.MaxInboxItem {
		return nil, proto.Refuse(proto.TooLarge)
	}
	if err := account(s.throttles.posts, s.Clock.Now(), d.Account); err != nil {
		return nil, err
	}
	to := store.Inbox{Account: r.Account, Device: r.Device}
	if err := s.Store.Post(ctx, to, proto.New[proto.InboxItemID](), r.Sealed, s.today(), s.MaxInboxItems); err != nil {
		return nil, err
	}
	s.hub.inbox(to)
	return &proto.Empty{}, nil
}

// InboxFetch returns the items of the session's device, waiting for one if it
// was asked to.
func (s *Service) InboxFetch(ctx context.Context, r *proto.InboxFetchRequest) (*proto.InboxFetchResponse, error) {
	d, err := s.Sessions.Device(r.Session)
	if err != nil {
		return nil, err
	}
	var u *Subscription
	if r.WaitMillis > 0 {
		u = s.Subscribe()
		defer u.Close()
		if err := u.add(ctx, r.Session); err != nil {
			return nil, err
		}
	}
	wait := min(time.Duration(r.WaitMillis)*time.Millisecond, maxWait)
	waiting, cancel := context.WithTimeout(ctx, wait)
	defer cancel()
	for {
		items, more, err := s.Store.Fetch(ctx, inbox(d), r.After, inboxFetchItems)
		if err != nil || len(items) > 0 || u == nil {
			return &proto.InboxFetchResponse{Items: items, More: more}, err
		}
		if _, err := u.Next(waiting); err != nil {
			return &proto.InboxFetchResponse{}, ctx.Err()
		}
	}
}

// InboxAck deletes items for good.
func (s *Service) InboxAck(ctx context.Context, r *proto.InboxAckRequest) (*proto.Empty, error) {
	d, err := s.Sessions.Device(r.Session)
	if err != nil {
		return nil, err
	}
	return &proto.Empty{}, s.Store.Ack(ctx, inbox(d), r.IDs)
}

// CreateToken returns a token that allows one create. Only its hash and
// expiry day are kept, not whom it was given to.
func (s *Service) CreateToken(ctx context.Context, r *proto.CreateTokenRequest) (*proto.CreateTokenResponse, error) {
	d, err := s.Sessions.Device(r.Session)
	if err != nil {
		return nil, err
	}
	if err := account(s.throttles.tokens, s.Clock.Now(), d.Account); err != nil {
		return nil, err
	}
	t := proto.New[proto.Token]()
	if err := s.Store.AddToken(ctx, t.Hash(), s.today()+tokenDays); err != nil {
		return nil, err
	}
	return &proto.CreateTokenResponse{Token: t}, nil
}
