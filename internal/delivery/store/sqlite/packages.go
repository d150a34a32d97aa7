package sqlite

import (
	"context"

	"codeberg.org/huis/huis/internal/delivery/store"
	"codeberg.org/huis/huis/internal/proto"
)

// rowID is the random primary key of a row that has no other.
func rowID() proto.Hash { return proto.Hash(proto.New[proto.Token]()) }

// checkAttached finds the inboxes of the tickets and sees that the pins can be
// made. to[i] belongs to Deliveries[i].
func checkAttached(t *tx, a *store.Attached) (to []store.Inbox, err error) {
	used := map[proto.Hash]bool{}
	for i, d := range a.Deliveries {
		var inbox store.Inbox
		found, err := one(t, []any{&inbox.Account, &inbox.Device},
			"SELECT account, device FROM ticket WHERE hash = $1 AND expires_day >= $2", d.Ticket, a.Today)
		if err != nil {
			return nil, err
		}
		if !found || used[d.Ticket] {
			return nil, &proto.Error{Code: proto.BadTicket, Index: uint32(i)}
		}
		used[d.Ticket] = true
		to = append(to, inbox)
	}
	if err := checkInboxes(t, to, a.MaxInbox); err != nil {
		return nil, err
	}
	for _, id := range a.Pins {
		if err := checkPin(t, id, false); err != nil {
			return nil, err
		}
	}
	return to, nil
}

func checkInboxes(t *tx, to []store.Inbox, most int) error {
	coming := map[store.Inbox]int{}
	for i, inbox := range to {
		n, err := inboxCount(t, inbox)
		if err != nil {
			return err
		}
		if n+coming[inbox] >= most {
			return &proto.Error{Code: proto.InboxFull, Index: uint32(i)}
		}
		coming[inbox]++
	}
	return nil
}

func inboxCount(q querier, i store.Inbox) (n int, err error) {
	_, err = one(q, []any{&n}, "SELECT COUNT(*) FROM inbox WHERE account = $1 AND device = $2", i.Account, i.Device)
	return n, err
}

// attach uses up the tickets, fills the inboxes and makes the pins.
func attach(t *tx, id proto.ConversationID, a *store.Attached, to []store.Inbox) error {
	for i, d := range a.Deliveries {
		if err := t.run("DELETE FROM ticket WHERE hash = $1", d.Ticket); err != nil {
			return err
		}
		if err := post(t, to[i], d.ID, d.Sealed, a.Today); err != nil {
			return err
		}
	}
	for _, blob := range a.Pins {
		if err := pin(t, store.Owner{Conversation: &id}, blob, a.PinUntil); err != nil {
			return err
		}
	}
	return nil
}

func post(t *tx, to store.Inbox, id proto.InboxItemID, sealed []byte, today store.Day) error {
	return t.run("INSERT INTO inbox (id, account, device, day, sealed) VALUES ($1, $2, $3, $4, $5)", id, to.Account, to.Device, today, sealed)
}

// Publish implements store.Packages.
func (s *Store) Publish(ctx context.Context, device store.Inbox, pool []store.KeyPackage, lastResort *store.KeyPackage) error {
	size := 0
	for _, p := range pool {
		size += len(p.Bytes)
	}
	return s.writer.submit(ctx, size, func(t *tx) error {
		if err := checkAccount(t, device.Account, proto.NoAccount); err != nil {
			return err
		}
		if err := replacePackages(t, device, pool, false); err != nil || lastResort == nil {
			return err
		}
		return replacePackages(t, device, []store.KeyPackage{*lastResort}, true)
	})
}

func replacePackages(t *tx, device store.Inbox, all []store.KeyPackage, lastResort bool) error {
	if err := t.run("DELETE FROM key_package WHERE account = $1 AND device = $2 AND last_resort = $3", device.Account, device.Device, lastResort); err != nil {
		return err
	}
	for _, p := range all {
		if err := t.run("INSERT INTO key_package (id, account, device, last_resort, expires_day, bytes) VALUES ($1, $2, $3, $4, $5, $6)",
			rowID(), device.Account, device.Device, lastResort, p.Expires, p.Bytes); err != nil {
			return err
		}
	}
	return nil
}

// PackageCount implements store.Packages.
func (s *Store) PackageCount(ctx context.Context, device store.Inbox) (n int, lastResort bool, err error) {
	var last int
	err = s.read(ctx, func(q querier) error {
		_, err := one(q, []any{&n, &last}, "SELECT COUNT(*) - COALESCE(SUM(last_resort), 0), COALESCE(SUM(last_resort), 0) FROM key_package WHERE account = $1 AND device = $2", device.Account, device.Device)
		return err
	})
	return n, last > 0, err
}

// Claim implements store.Packages.
func (s *Store) Claim(ctx context.Context, account proto.AccountID, device proto.DeviceID, today, ticketUntil store.Day) (all []proto.Claimed, err error) {
	err = s.writer.submit(ctx, 4096, func(t *tx) (err error) {
		all, err = claim(t, account, device, today, ticketUntil)
		return err
	})
	return all, err
}

func claim(t *tx, account proto.AccountID, device proto.DeviceID, today, ticketUntil store.Day) (all []proto.Claimed, err error) {
	if err := checkAccount(t, account, proto.UnknownAccount); err != nil {
		return nil, err
	}
	devices := []proto.DeviceID{device}
	if device == (proto.DeviceID{}) {
		if devices, err = packageDevices(t, account); err != nil {
			return nil, err
		}
	}
	ids := map[int]proto.Hash{}
	for _, d := range devices {
		c, id, found, err := choosePackage(t, account, d, today)
		if err != nil {
			return nil, err
		}
		if found {
			ids[len(all)] = id
			all = append(all, c)
		}
	}
	if len(all) == 0 {
		return nil, proto.Refuse(proto.NoneLeft)
	}
	for i, c := range all {
		if err := give(t, account, c, ids[i], ticketUntil); err != nil {
			return nil, err
		}
	}
	return all, nil
}

func packageDevices(q querier, account proto.AccountID) (all []proto.DeviceID, err error) {
	err = each(q, func(scan func(...any) error) error {
		var d proto.DeviceID
		err := scan(&d)
		all = append(all, d)
		return err
	}, "SELECT DISTINCT device FROM key_package WHERE account = $1", account)
	return all, err
}

// choosePackage prefers one of the pool to the last resort.
func choosePackage(q querier, account proto.AccountID, d proto.DeviceID, today store.Day) (c proto.Claimed, id proto.Hash, found bool, err error) {
	c = proto.Claimed{Device: d, Ticket: proto.New[proto.Ticket]()}
	var last int
	found, err = one(q, []any{&id, &last, &c.KeyPackage}, `SELECT id, last_resort, bytes FROM key_package
		WHERE account = $1 AND device = $2 AND expires_day >= $3 ORDER BY last_resort, id LIMIT 1`, account, d, today)
	c.LastResort = last != 0
	return c, id, found, err
}

func give(t *tx, account proto.AccountID, c proto.Claimed, id proto.Hash, ticketUntil store.Day) error {
	if !c.LastResort {
		if err := t.run("DELETE FROM key_package WHERE id = $1", id); err != nil {
			return err
		}
	}
	return t.run("INSERT INTO ticket (hash, account, device, expires_day) VALUES ($1, $2, $3, $4)", c.Ticket.Hash(), account, c.Device, ticketUntil)
}

// Post implements store.Inboxes.
func (s *Store) Post(ctx context.Context, to store.Inbox, id proto.InboxItemID, sealed []byte, today store.Day, max int) error {
	return s.writer.submit(ctx, len(sealed)+200, func(t *tx) error {
		if err := checkAccount(t, to.Account, proto.UnknownAccount); err != nil {
			return err
		}
		if err := checkInboxes(t, []store.Inbox{to}, max); err != nil {
			return err
		}
		return post(t, to, id, sealed, today)
	})
}

// Fetch implements store.Inboxes.
func (s *Store) Fetch(ctx context.Context, device store.Inbox, after proto.InboxItemID, max int) (items []proto.InboxItem, more bool, err error) {
	err = s.read(ctx, func(q querier) error {
		items = nil
		return each(q, func(scan func(...any) error) error {
			var i proto.InboxItem
			err := scan(&i.ID, &i.Sealed)
			items = append(items, i)
			return err
		}, "SELECT id, sealed FROM inbox WHERE account = $1 AND device IN ($2, $3) AND id > $4 ORDER BY id LIMIT $5",
			device.Account, device.Device, proto.DeviceID{}, after, max+1)
	})
	if len(items) > max {
		items, more = items[:max], true
	}
	return items, more, err
}

// Ack implements store.Inboxes.
func (s *Store) Ack(ctx context.Context, device store.Inbox, ids []proto.InboxItemID) error {
	return s.writer.submit(ctx, 64*len(ids), func(t *tx) error {
		for _, id := range ids {
			if err := t.run("DELETE FROM inbox WHERE id = $1 AND account = $2 AND device IN ($3, $4)", id, device.Account, device.Device, proto.DeviceID{}); err != nil {
				return err
			}
		}
		return nil
	})
}

func checkAccount(q querier, id proto.AccountID, otherwise proto.Code) error {
	ok, err := exists(q, "SELECT 1 FROM account WHERE id = $1", id)
	if !ok || err != nil {
		return either(err, otherwise)
	}
	return nil
}
