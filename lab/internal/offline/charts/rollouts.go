package charts

import (
	"errors"
	"fmt"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// WrapArgoRollouts writes a Helm chart named argo-rollouts under dest from the manifest of the Argo
// Rollouts module in moduleDir, custom resource definitions included, and returns the chart's
// directory. It replaces an earlier chart there. These values mean the same as in the chart
// argo/argo-rollouts 2.41.0: controller.replicas, controller.resources, controller.podAnnotations,
// controller.pdb, installCRDs, keepCRDs; of notifications: notifiers, templates, triggers,
// subscriptions, configmap.create, secret.create.
func WrapArgoRollouts(moduleDir, dest string) (string, error) {
	c, err := readManifest("argo-rollouts", moduleDir, "manifests/install.yaml")
	if err != nil {
		return "", err
	}
	c.values = map[string]any{
		"installCRDs": true, "keepCRDs": true,
		"notifications": map[string]any{
			"configmap": map[string]any{"create": true}, "secret": map[string]any{"create": false},
			"notifiers": map[string]any{}, "templates": map[string]any{}, "triggers": map[string]any{}, "subscriptions": []any{},
		},
	}
	if err := errors.Join(
		c.customResourceDefinitions(".Values.installCRDs", ".Values.keepCRDs"),
		c.component("Deployment", "argo-rollouts", "controller", false, ""),
		c.pinRolloutsImage(),
		c.rolloutsNotifications(),
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

// rolloutsNotifications adds the ConfigMap of notifications, which the manifest does not have, and
// lets a value decide about their Secret.
func (c *chart) rolloutsNotifications() error {
	secret, err := c.find("Secret", "argo-rollouts-notification-secret")
	if err != nil {
		return err
	}
	secret.condition = ".Values.notifications.secret.create"
	entries := &object{Unstructured: &unstructured.Unstructured{}, condition: ".Values.notifications.configmap.create"}
	entries.SetAPIVersion("v1")
	entries.SetKind("ConfigMap")
	entries.SetName("argo-rollouts-notification-configmap")
	if err := c.placeInRelease(entries); err != nil {
		return fmt.Errorf("chart %s: %w", c.name, err)
	}
	c.objects = append(c.objects, entries)
	return c.set("ConfigMap", entries.GetName(), notificationEntries, "data")
}
