package e2e

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
)

// Build builds the program into dir, without cgo as it is released, and returns
// where it is.
func Build(dir string) (string, error) {
	huis := filepath.Join(dir, "huis")
	cmd := exec.Command("go", "build", "-buildvcs=false", "-o", huis, "codeberg.org/huis/huis/cmd/huis")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("building huis: %v\n%s", err, out)
	}
	return huis, nil
}
