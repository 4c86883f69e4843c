package charts

import (
	"errors"
	"fmt"
	"strings"
)

// WrapArgoRollouts writes a Helm chart named argo-rollouts under dest from the manifest of the Argo
// Rollouts module in moduleDir, custom resource definitions included, and returns the chart's
// directory. It replaces an earlier chart there. These values mean the same as in the chart
// argo/argo-rollouts 2.41.0: controller.replicas, controller.resources, controller.pdb,
// installCRDs, keepCRDs.
func WrapArgoRollouts(moduleDir, dest string) (string, error) {
	c, err := readManifest("argo-rollouts", moduleDir, "manifests/install.yaml")
	if err != nil {
		return "", err
	}
	c.values = map[string]any{"installCRDs": true, "keepCRDs": true}
	if err := errors.Join(
		c.customResourceDefinitions(".Values.installCRDs", ".Values.keepCRDs"),
		c.component("Deployment", "argo-rollouts", "controller", false, ""),
		c.pinRolloutsImage(),
	); err != nil {
		return "", err
	}
	return c.write(dest)
}

// pinRolloutsImage names the release's own image. The module's manifest says "latest"; the
// project's release process replaces it only in the published files.
func (c *chart) pinRolloutsImage() error {
	object, err := c.find("Deployment", "argo-rollouts")
	if err != nil {
		return err
	}
	return c.eachContainer(object, func(container map[string]any) error {
		image, ok := container["image"].(string)
		if !ok {
			return fmt.Errorf("container %v has no image", container["name"])
		}
		if repository, unpinned := strings.CutSuffix(image, ":latest"); unpinned {
			container["image"] = repository + ":" + c.appVersion
		}
		return nil
	})
}
