package e2e

import (
	"fmt"
	"os"
)

// NotCheckedFile names the environment variable with the file that collects
// what could not be checked; scripts/test prints it at its end.
const NotCheckedFile = "HUIS_NOT_CHECKED"

// NotChecked says loudly that the machine did not permit a check.
func NotChecked(what, why string) {
	line := fmt.Sprintf("%s (%s)\n", what, why)
	fmt.Fprint(os.Stderr, "NOT CHECKED: ", line)
	name := os.Getenv(NotCheckedFile)
	if name == "" {
		return
	}
	f, err := os.OpenFile(name, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return
	}
	defer f.Close()
	f.WriteString(line)
}
