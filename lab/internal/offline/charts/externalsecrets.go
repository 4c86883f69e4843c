package charts

import (
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

const (
	// externalSecretsChart is the folder of the project's own chart in its module.
	externalSecretsChart = "deploy/charts/external-secrets"
	// externalSecretsWebhooks are the chart's admission webhooks.
	externalSecretsWebhooks = "templates/validatingwebhook.yaml"
)

// WrapExternalSecrets writes a Helm chart named external-secrets under dest from the External Secrets module in moduleDir, and
// returns the chart's directory. An earlier chart there is replaced. The templates and their values are those of the project's
// own chart, of the module's version. It differs from what the project publishes in this:
//
//   - the custom resource definitions come from the bundle that the project's release process makes the chart's from, under
//     installCRDs; of crds.annotations it knows helm.sh/resource-policy alone, whose only meaning is keep;
//   - they have no conversion, which the published chart has switched off too;
//   - there are no admission webhooks: where pods are not executed nobody answers them, and they refuse what they cannot check;
//   - the optional bitwarden-sdk-server, a chart of its own, is not part of it.
func WrapExternalSecrets(moduleDir, dest string) (string, error) {
	c, err := readManifest("external-secrets", moduleDir, "deploy/crds/bundle.yaml")
	if err != nil {
		return "", err
	}
	for _, definition := range c.objects {
		unstructured.RemoveNestedField(definition.Object, "spec", "conversion")
	}
	err = c.customResourceDefinitions(".Values.installCRDs", `hasKey .Values.crds.annotations "helm.sh/resource-policy"`)
	if err != nil {
		return "", err
	}
	if err := c.adopt(os.DirFS(filepath.Join(moduleDir, filepath.FromSlash(externalSecretsChart)))); err != nil {
		return "", fmt.Errorf("chart external-secrets: read the project's own chart, which the Go module should hold: %w", err)
	}
	// Were the file to move, the webhooks would come back and nothing could be applied any more.
	if _, found := c.adopted[filepath.FromSlash(externalSecretsWebhooks)]; !found {
		return "", fmt.Errorf("chart external-secrets: the chart of %s has no %s to leave out", c.appVersion, externalSecretsWebhooks)
	}
	delete(c.adopted, filepath.FromSlash(externalSecretsWebhooks))
	return c.write(dest)
}

// adopt takes over the files of a chart that Helm reads when it installs it: the values, their schema, the templates and the
// files that they read. Chart.yaml is written anew, because what it depends on is not here.
func (c *chart) adopt(chart fs.FS) error {
	c.adopted = map[string]string{}
	return fs.WalkDir(chart, ".", func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		switch top, _, _ := strings.Cut(name, "/"); {
		case top == "templates" && path.Ext(name) == ".md":
			return nil // Helm would take it for a template
		case top == "templates", top == "files", name == "values.yaml", name == "values.schema.json":
			content, err := fs.ReadFile(chart, name)
			c.adopted[filepath.FromSlash(name)] = string(content)
			return err
		}
		return nil
	})
}
