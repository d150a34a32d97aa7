package kt_test

import (
	"crypto/ed25519"
	"fmt"
	"time"

	"codeberg.org/huis/huis/kt"
)

func ExampleVerify() {
	now := time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	// The first device makes its keys and the account.
	id, d := kt.NewDeviceID(), kt.GenerateChainKey()
	mPublic, m, _ := ed25519.GenerateKey(nil)
	sign := func(b []byte) ([]byte, error) { return ed25519.Sign(m, b), nil }
	enrolment, _ := kt.NewEnrolment(kt.AccountID{}, id, d, kt.MessagePublicKey(mPublic), sign)
	genesis, _ := kt.Genesis(now, kt.DeviceSigner(id, d), enrolment)

	// Anybody verifies the chain and judges a leaf by it.
	chain, err := kt.Verify([][]byte{genesis})
	fmt.Println(err, len(chain.Live()), chain.Leaf(id, kt.MessagePublicKey(mPublic), now) == kt.Proven)
	// Output: <nil> 1 true
}
