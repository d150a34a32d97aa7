package e2e

import (
	"bufio"
	"encoding/base64"
	"encoding/json"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"syscall"
	"testing"
	"time"

	"codeberg.org/huis/huis/internal/rpc"
	"codeberg.org/huis/huis/web"
)

// browser tells whether tests can open one, and why not.
func browser() (why string) {
	if _, err := os.Stat(chromium()); err != nil {
		return "no Chromium: scripts/setup"
	}
	if _, err := exec.LookPath("node"); err != nil {
		return "no Node: scripts/setup"
	}
	if _, err := os.Stat(filepath.Join("..", "..", "web", "node_modules", "playwright-core")); err != nil {
		return "no playwright-core: npm ci in web"
	}
	if _, err := web.Files.Open("core/core.wasm.br"); err != nil {
		return "the web core is not built: make core"
	}
	return ""
}

func chromium() string {
	if c := os.Getenv("CHROMIUM"); c != "" {
		return c
	}
	return "/usr/bin/chromium"
}

// openBrowser opens an address in a browser of its own and connects to the core
// of that page, as one more of its tabs.
func openBrowser(t *testing.T, address string) *face {
	t.Helper()
	cmd := exec.Command("node", "e2e/bridge.mjs", address)
	cmd.Dir = filepath.Join("..", "..", "web")
	cmd.Stderr = os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		in.Close()
		late := time.AfterFunc(10*time.Second, func() { syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) })
		defer late.Stop()
		_ = cmd.Wait()
	})
	lines := bufio.NewReader(out)
	if first, err := lines.ReadString('\n'); err != nil || first != "ready\n" {
		t.Fatalf("the browser has no core: %q, %v", first, err)
	}
	return newFace(t, "", func() (rpc.Frame, error) { return frameOf(lines) }, frameTo(in))
}

// frameOf reads a line of the bridge.
func frameOf(lines *bufio.Reader) (f rpc.Frame, err error) {
	line, err := lines.ReadBytes('\n')
	if err != nil {
		return f, err
	}
	var parts [2]*string
	if err := json.Unmarshal(line, &parts); err != nil || parts[0] == nil {
		return f, io.ErrUnexpectedEOF
	}
	if f, err = rpc.ParseJSON([]byte(*parts[0])); err != nil {
		return f, err
	}
	if parts[1] != nil {
		f.Bytes, err = base64.StdEncoding.DecodeString(*parts[1])
	}
	return f, err
}

// frameTo writes lines of the bridge.
func frameTo(w io.Writer) func(rpc.Frame) error {
	var mu sync.Mutex
	return func(f rpc.Frame) error {
		head := string(f.JSON())
		parts := [2]*string{&head, nil}
		if f.Bytes != nil {
			s := base64.StdEncoding.EncodeToString(f.Bytes)
			parts[1] = &s
		}
		b, err := json.Marshal(parts)
		if err != nil {
			return err
		}
		mu.Lock()
		defer mu.Unlock()
		_, err = w.Write(append(b, '\n'))
		return err
	}
}

// TestBrowserIsTheWholeClient makes the calls of TestAppIsTheWholeClient of a
// core that runs in a browser, over IndexedDB and fetch.
func TestBrowserIsTheWholeClient(t *testing.T) {
	if why := browser(); why != "" {
		NotChecked("the client core in a browser", why)
		t.Skip(why)
	}
	s := house(t)
	wholeClient(t, s, openBrowser(t, s.Web))
}

// TestAnotherTabTakesOver closes the tab that has the core, and the browser.
func TestAnotherTabTakesOver(t *testing.T) {
	if why := browser(); why != "" {
		NotChecked("several tabs of a browser", why)
		t.Skip(why)
	}
	cmd := exec.CommandContext(t.Context(), "node", "e2e/takeover.mjs", house(t).Web)
	cmd.Dir = filepath.Join("..", "..", "web")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
}
