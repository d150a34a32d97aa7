package release

import (
	"debug/buildinfo"
	"encoding/json"
	"fmt"
	"path/filepath"
	"slices"
)

// bom is a CycloneDX document, as far as we fill it: no time and no serial
// number, so that two makers write the same bytes.
type bom struct {
	Format     string      `json:"bomFormat"`
	Spec       string      `json:"specVersion"`
	Version    int         `json:"version"`
	Metadata   metadata    `json:"metadata"`
	Components []component `json:"components"`
}

type metadata struct {
	Component component `json:"component"`
}

type component struct {
	Type    string `json:"type"`
	Name    string `json:"name"`
	Version string `json:"version,omitempty"`
	PURL    string `json:"purl,omitempty"`
	// SHA-256 over the module's files, as go.sum has it.
	Properties []property `json:"properties,omitempty"`
}

type property struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

// billOfMaterials lists the modules and the toolchain that the Go programs among
// names say they were built of.
func billOfMaterials(dir string, names []string) ([]byte, error) {
	seen := map[string]component{}
	doc := bom{Format: "CycloneDX", Spec: "1.6", Version: 1, Metadata: metadata{component{Type: "application", Name: "huis"}}}
	for _, name := range names {
		info, err := buildinfo.ReadFile(filepath.Join(dir, name))
		if err != nil {
			return nil, fmt.Errorf("%s is no program of Go: %w", name, err)
		}
		add(seen, "stdlib", info.GoVersion, "")
		doc.Metadata.Component.Name = info.Main.Path
		for _, m := range info.Deps {
			if m.Replace != nil {
				m = m.Replace
			}
			add(seen, m.Path, m.Version, m.Sum)
		}
	}
	for _, c := range seen {
		doc.Components = append(doc.Components, c)
	}
	slices.SortFunc(doc.Components, func(a, b component) int {
		if a.PURL < b.PURL {
			return -1
		}
		return 1
	})
	b, err := json.MarshalIndent(doc, "", " ")
	return append(b, '\n'), err
}

func add(to map[string]component, path, version, sum string) {
	c := component{Type: "library", Name: path, Version: version, PURL: "pkg:golang/" + path + "@" + version}
	if sum != "" {
		c.Properties = []property{{"go:sum", sum}}
	}
	to[c.PURL] = c
}
