package charts

import (
	"errors"
	"fmt"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// WrapArgoCD writes a Helm chart named argo-cd under dest from the high-availability manifest of
// the Argo CD module in moduleDir, and returns the chart's directory. It replaces an earlier chart
// there. These values mean the same as in the chart argo/argo-cd 10.1.1:
//
//   - replicas, resources, podAnnotations and pdb of controller, server, repoServer and
//     applicationSet, and podAnnotations of notifications; for server and repoServer,
//     autoscaling.enabled with autoscaling.minReplicas instead of replicas (the number alone: no
//     autoscaler is created, since without a metrics server it would never do more);
//   - global.domain, for the address in argocd-cm;
//   - configs.cm, configs.params, configs.rbac: merged over the manifest's entries, key by key; an
//     empty value removes one;
//   - configs.secret.createSecret, argocdServerAdminPassword (a bcrypt hash),
//     argocdServerAdminPasswordMtime, githubSecret, extra;
//   - crds.install, crds.keep; dex.enabled;
//   - notifications.enabled, and its notifiers, templates, triggers, subscriptions and
//     secret.create;
//   - replicas, hardAntiAffinity, podDisruptionBudget and networkPolicy.enabled of redis-ha and
//     redis-ha.haproxy, and redis-ha.haproxy.deploymentStrategy. The rules of the two policies are
//     the manifest's.
//
// Redis is always highly available: by default three replicas, which need three nodes that accept
// their pods. The manifest's pods make the Redis password themselves when they first start; if pods
// are not executed, there is no password.
func WrapArgoCD(moduleDir, dest string) (string, error) {
	c, err := readManifest("argo-cd", moduleDir, "manifests/ha/install.yaml")
	if err != nil {
		return "", err
	}
	c.values = map[string]any{
		"crds": map[string]any{"install": true, "keep": true},
		"configs": map[string]any{
			"secret": map[string]any{
				"createSecret": true, "argocdServerAdminPassword": "", "argocdServerAdminPasswordMtime": "",
				"githubSecret": "", "extra": map[string]any{},
			},
		},
		"global":   map[string]any{"domain": ""},
		"redis-ha": redisDefaults(),
		"dex":      map[string]any{"enabled": true},
		"notifications": map[string]any{
			"enabled": true, "notifiers": map[string]any{}, "templates": map[string]any{}, "triggers": map[string]any{},
			"subscriptions": []any{}, "secret": map[string]any{"create": true},
		},
	}
	c.argoCDComponents()
	if err := errors.Join(
		c.customResourceDefinitions(".Values.crds.install", ".Values.crds.keep"),
		c.component("StatefulSet", "argocd-application-controller", "controller", false, "ARGOCD_CONTROLLER_REPLICAS"),
		c.component("Deployment", "argocd-server", "server", true, "ARGOCD_API_SERVER_REPLICAS"),
		c.component("Deployment", "argocd-repo-server", "repoServer", true, ""),
		c.component("Deployment", "argocd-applicationset-controller", "applicationSet", false, ""),
		c.podAnnotations("Deployment", "argocd-notifications-controller", "notifications"),
		c.preferSpreading("argocd-server"),
		c.preferSpreading("argocd-repo-server"),
		c.redis(redisWorkload{"StatefulSet", "argocd-redis-ha-server", "argocd-redis-ha-pdb", "argocd-redis-ha-server-network-policy"},
			`(index .Values "redis-ha")`),
		c.redis(redisWorkload{
			"Deployment", "argocd-redis-ha-haproxy", "argocd-redis-ha-haproxy-pdb", "argocd-redis-ha-proxy-network-policy",
		}, `(index .Values "redis-ha").haproxy`),
		c.set("Deployment", "argocd-redis-ha-haproxy", `{{ toJson (index .Values "redis-ha").haproxy.deploymentStrategy }}`,
			"spec", "strategy"),
		c.configMap("argocd-cm", "cm", `
{{- if and .Values.global.domain (not .Values.configs.cm.url) }}
  "url": {{ printf "https://%s" .Values.global.domain | quote }}
{{- end }}`),
		c.configMap("argocd-cmd-params-cm", "params", ""),
		c.configMap("argocd-rbac-cm", "rbac", ""),
		c.argoCDSecret(),
		c.set("ConfigMap", "argocd-notifications-cm", `
  "context": {{ printf "argocdUrl: https://%s\n" .Values.global.domain | toJson }}`+notificationEntries, "data"),
	); err != nil {
		return "", err
	}
	return c.write(dest)
}

// argoCDComponents lets the values switch the two optional components off.
func (c *chart) argoCDComponents() {
	for _, object := range c.objects {
		switch {
		case strings.HasPrefix(object.GetName(), "argocd-dex-server"):
			object.condition = ".Values.dex.enabled"
		case object.GetName() == "argocd-notifications-secret":
			object.condition = "and .Values.notifications.enabled .Values.notifications.secret.create"
		case strings.HasPrefix(object.GetName(), "argocd-notifications-"):
			object.condition = ".Values.notifications.enabled"
		}
	}
}

// notificationEntries are the entries of a ConfigMap of notifications, from the values that both
// charts have for them.
const notificationEntries = `
{{- range $entries := list .Values.notifications.notifiers .Values.notifications.templates .Values.notifications.triggers }}
{{- range $key, $value := $entries }}
  {{ $key | quote }}: {{ toString $value | toJson }}
{{- end }}
{{- end }}
{{- with .Values.notifications.subscriptions }}
  "subscriptions": {{ toYaml . | toJson }}
{{- end }}`

// preferSpreading turns the manifest's demand of one pod per node into a preference, as the real
// chart does. With the demand, as many replicas as nodes could never be updated, because the first
// new pod would find no node.
func (c *chart) preferSpreading(deployment string) error {
	object, err := c.find("Deployment", deployment)
	if err != nil {
		return err
	}
	path := []string{"spec", "template", "spec", "affinity", "podAntiAffinity"}
	spreading, found, err := unstructured.NestedMap(object.Object, path...)
	if err != nil {
		return fmt.Errorf("chart %s: Deployment %s: %w", c.name, deployment, err)
	}
	if !found {
		return nil
	}
	const required, preferred = "requiredDuringSchedulingIgnoredDuringExecution", "preferredDuringSchedulingIgnoredDuringExecution"
	demands, _, err := unstructured.NestedSlice(spreading, required)
	if err != nil {
		return fmt.Errorf("chart %s: Deployment %s: %w", c.name, deployment, err)
	}
	preferences, _, err := unstructured.NestedSlice(spreading, preferred)
	if err != nil {
		return fmt.Errorf("chart %s: Deployment %s: %w", c.name, deployment, err)
	}
	for _, demand := range demands {
		preferences = append(preferences, map[string]any{"weight": int64(100), "podAffinityTerm": demand})
	}
	if len(preferences) == 0 {
		return nil
	}
	if err := unstructured.SetNestedField(object.Object, map[string]any{preferred: preferences}, path...); err != nil {
		return fmt.Errorf("chart %s: Deployment %s: %w", c.name, deployment, err)
	}
	return nil
}

// configMap lets the values configs.<key> decide on a config map's entries. The manifest's entries
// become the defaults in values.yaml, and Helm merges the given ones over them. As in the real
// chart, an empty value removes its entry, and the keys "create" and "annotations" are not entries.
// more is a template of further entries.
func (c *chart) configMap(name, key, more string) error {
	object, err := c.find("ConfigMap", name)
	if err != nil {
		return err
	}
	entries, _, err := unstructured.NestedStringMap(object.Object, "data")
	if err != nil {
		return fmt.Errorf("chart %s: ConfigMap %s: %w", c.name, name, err)
	}
	defaults := map[string]any{}
	for entry, value := range entries {
		defaults[entry] = value
	}
	if err := unstructured.SetNestedMap(c.values, defaults, "configs", key); err != nil {
		return fmt.Errorf("chart %s: ConfigMap %s: %w", c.name, name, err)
	}
	return c.set("ConfigMap", name, fmt.Sprintf(`
{{- range $key, $value := omit .Values.configs.%s "create" "annotations" }}
{{- if ne (toString $value) "" }}
  {{ $key | quote }}: {{ toString $value | toJson }}
{{- end }}
{{- end }}`, key)+more, "data")
}

// argoCDSecret is argocd-secret as the real chart writes it.
func (c *chart) argoCDSecret() error {
	object, err := c.find("Secret", "argocd-secret")
	if err != nil {
		return err
	}
	object.condition = ".Values.configs.secret.createSecret"
	return c.set("Secret", "argocd-secret", `
{{- with .Values.configs.secret }}
{{- if .argocdServerAdminPassword }}
  admin.password: {{ .argocdServerAdminPassword | b64enc }}
  admin.passwordMtime: {{ default (dateInZone "2006-01-02T15:04:05Z" (now) "UTC") .argocdServerAdminPasswordMtime | b64enc }}
{{- end }}
{{- with .githubSecret }}
  webhook.github.secret: {{ . | b64enc }}
{{- end }}
{{- range $key, $value := .extra }}
  {{ $key | quote }}: {{ toString $value | b64enc }}
{{- end }}
{{- end }}`, "data")
}
