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

// WrapExternalSecrets writes a Helm chart named external-secrets under dest from the External
// Secrets module in moduleDir, and returns the chart's directory. It replaces an earlier chart
// there. The templates and their values are those of the project's own chart, of the module's
// version. It has these differences from the published chart:
//
//   - the custom resource definitions come from the bundle from which the project's release process
//     makes the chart's, under installCRDs; the only entry of crds.annotations that has an effect
//     is helm.sh/resource-policy, whose only meaning is keep;
//   - they have no conversion, which the published chart has switched off too;
//   - there are no admission webhooks: if pods are not executed, no webhook answers, and the API
//     server refuses objects that it cannot have checked;
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
	// If the file moved, the webhooks would come back and no object could be applied any more.
	if _, found := c.adopted[filepath.FromSlash(externalSecretsWebhooks)]; !found {
		return "", fmt.Errorf("chart external-secrets: the chart of %s has no %s to leave out", c.appVersion, externalSecretsWebhooks)
	}
	delete(c.adopted, filepath.FromSlash(externalSecretsWebhooks))
	return c.write(dest)
}

// adopt copies the files of a chart that Helm reads at an installation: the values, their schema,
// the templates and the files that they read. Chart.yaml is replaced, because the chart's
// dependencies are not here.
func (c *chart) adopt(chart fs.FS) error {
	c.adopted = map[string]string{}
	return fs.WalkDir(chart, ".", func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		switch top, _, _ := strings.Cut(name, "/"); {
		case top == "templates" && path.Ext(name) == ".md":
			return nil // Helm would treat it as a template
		case top == "templates", top == "files", name == "values.yaml", name == "values.schema.json":
			content, err := fs.ReadFile(chart, name)
			c.adopted[filepath.FromSlash(name)] = string(content)
			return err
		}
		return nil
	})
}
