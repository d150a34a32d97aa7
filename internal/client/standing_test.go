package client

import (
	"testing"
)

func TestAlarmsStandUntilTheyAreSettled(t *testing.T) {
	w := newWorld(t)
	alice, bob := w.person("alice"), w.person("bob")
	alice.newChat("plan", "bob")
	w.agree("plan", alice, bob)
	none := func() {
		t.Helper()
		if all, err := bob.Alarms(t.Context()); err != nil || len(all) != 0 {
			t.Fatalf("alarms: %+v, %v", all, err)
		}
	}
	none()
	w.reset(alice, "bob")
	w.clock.advance(ownChainAge)
	wantStop(t, bob.Sync(t.Context()), "made your account @bob anew")
	all, err := bob.Alarms(t.Context())
	if err != nil || len(all) != 1 || !all[0].Veto {
		t.Fatalf("alarms: %+v, %v", all, err)
	}
	files, err := bob.EvidenceFiles(t.Context())
	if err != nil || len(files) != 1 || files[0].Size == 0 || files[0].Time.IsZero() {
		t.Fatalf("files: %+v, %v", files, err)
	}
	if b, err := bob.EvidenceFile(t.Context(), files[0].Name); err != nil || int64(len(b)) != files[0].Size {
		t.Errorf("the file has %d bytes: %v", len(b), err)
	}
	if _, err := bob.EvidenceFile(t.Context(), "../identity"); err == nil {
		t.Error("a file that is none is given out")
	}
	if _, err := bob.Veto(t.Context()); err != nil {
		t.Fatal(err)
	}
	none()
}

func TestStrictIsKeptOnAllDevices(t *testing.T) {
	w := newWorld(t)
	bob := w.person("bob")
	phone := w.further(bob, "phone")
	if err := bob.SetStrict(t.Context(), true); err != nil {
		t.Fatal(err)
	}
	bob.sync()
	phone.sync()
	for _, d := range []*device{bob, phone} {
		if yes, err := d.Strict(t.Context()); err != nil || !yes {
			t.Errorf("%s: strict is %v, %v", d.name, yes, err)
		}
	}
}
