package mesh

import (
	"fmt"
	"path/filepath"

	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/envtest"
)

// InstallDefinitions installs the CustomResourceDefinitions of Istio in the cluster, as AKS does
// with the add-on, or brings them up to date. module is the directory of the Go module
// istio.io/api, which has the official ones.
func InstallDefinitions(config *rest.Config, module string) error {
	_, err := envtest.InstallCRDs(config, envtest.CRDInstallOptions{
		Paths:              []string{filepath.Join(module, "kubernetes", "customresourcedefinitions.gen.yaml")},
		ErrorIfPathMissing: true,
	})
	if err != nil {
		return fmt.Errorf("install the CustomResourceDefinitions of Istio: %w", err)
	}
	return nil
}
