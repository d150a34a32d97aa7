package rpc

// BundleState is what the server's log says of a web app the server offers.
type BundleState string

// The states.
const (
	BundleGood      BundleState = "good"      // logged, and vouched for as the witness policy says
	BundleUnlogged  BundleState = "unlogged"  // the log does not hold it
	BundleOlder     BundleState = "older"     // it came into the log before the one in use
	BundleUnvouched BundleState = "unvouched" // the log holds it, and its witnesses do not vouch for that yet
	// There is no account on this device, so no log that it knows: as on a first visit.
	BundleUnknown BundleState = "unknown"
)

// CheckBundle asks whether the server's log holds the web app it offers; the
// hashes are SHA-256 of manifests, in hex.
type CheckBundle struct {
	Offered string `json:"offered"`
	Used    string `json:"used"` // the one this page is of
}

// BundleChecked is the answer.
type BundleChecked struct {
	State BundleState `json:"state"`
}
