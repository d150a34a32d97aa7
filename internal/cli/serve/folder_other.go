//go:build !linux

package serve

// isNetworkFolder is not known here.
func isNetworkFolder(string) bool { return false }
