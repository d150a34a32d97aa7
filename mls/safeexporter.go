package mls

import "fmt"

// exporterLeaves: one leaf for every ComponentID.
const exporterLeaves = 1 << 16

// exporterTree gives each component of an application one secret an epoch, once
// (draft-ietf-mls-extensions, "Exported Secrets"): the secret tree's shape with
// 2^16 leaves and application_export_secret at its root. It is not safe for
// concurrent use.
type exporterTree struct{ nodes *nodeSecrets }

// newExporterTree makes the tree of an epoch; the delta stores it under prefix.
func newExporterTree(a *algorithms, prefix string, applicationExport Secret) (*exporterTree, Delta) {
	nodes, d := newNodeSecrets(a, prefix, exporterLeaves, applicationExport)
	return &exporterTree{nodes}, d
}

// restoreExporterTree reads back what deltas stored under prefix.
func restoreExporterTree(a *algorithms, prefix string, get func(string) ([]byte, error)) (*exporterTree, error) {
	nodes, err := restoreNodeSecrets(a, prefix, exporterLeaves, get, func(LeafIndex) error { return nil })
	return &exporterTree{nodes}, err
}

// export is SafeExportSecret: a component's secret, deleted here once given. The
// delta must be durable before the secret is used.
func (t *exporterTree) export(id ComponentID) (Secret, Delta, error) {
	secret, changes := t.nodes.derive(LeafIndex(id))
	if secret == nil {
		return nil, nil, fmt.Errorf("mls: secret of component %d was exported in this epoch", id)
	}
	secret = append(Secret(nil), secret...)
	return secret, t.nodes.apply(changes), nil
}

// forget deletes the whole tree.
func (t *exporterTree) forget() Delta { return t.nodes.forget() }
