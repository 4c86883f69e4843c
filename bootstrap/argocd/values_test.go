package argocd

import (
	"encoding/json"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"text/template"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"k8s.io/apimachinery/pkg/labels"
	"sigs.k8s.io/yaml"

	"github.com/gridos/sharedinfra/bootstrap/notifications"
	"github.com/gridos/sharedinfra/internal/config"
	"github.com/gridos/sharedinfra/internal/config/projectfile"
	"github.com/gridos/sharedinfra/internal/mocks"
	"github.com/gridos/sharedinfra/internal/naming"
	"github.com/gridos/sharedinfra/internal/versions"
	"github.com/gridos/sharedinfra/stacks"
)

const (
	someTenant = "11111111-1111-1111-1111-111111111111"
	someClient = "22222222-2222-2222-2222-222222222222"
	someAdmins = "33333333-3333-3333-3333-333333333333"
	someTeam   = "44444444-4444-4444-4444-444444444444"
	somePipes  = "55555555-5555-5555-5555-555555555555"
)

// everything sets each optional key.
func everything() map[string]string {
	return map[string]string{
		"argocdSsoTenantId": someTenant, "argocdSsoClientId": someClient, "argocdSsoClientSecret": "the client's secret",
		"argocdAdminGroups": `["` + someAdmins + `"]`, "argocdDeveloperGroups": `["` + someTeam + `"]`,
		"argocdPipelineGroups":     `["` + somePipes + `"]`,
		"notificationsRecipients":  `["github", "slack", "teams", "webhook"]`,
		"notificationsGitHubAppId": "12", "notificationsGitHubInstallationId": "34",
		"notificationsSlackChannel": "deployments", "notificationsWebhookUrl": "https://hooks.gridos.internal",
	}
}

// load reads the settings of an environment as its stack's file has them, with overrides.
func load(t *testing.T, environment string, overrides map[string]string) (Settings, error) {
	t.Helper()
	values, err := projectfile.Config(t.Context(), filepath.Join("..", "..", stacks.Bootstrap.Directory), environment)
	require.NoError(t, err)
	own := map[string]string{}
	for key, value := range values {
		for _, prefix := range []string{"argocd", "notifications"} {
			if strings.HasPrefix(key, stacks.Bootstrap.Name+":"+prefix) {
				own[key] = value
			}
		}
	}
	for key, value := range overrides {
		own[stacks.Bootstrap.Name+":"+key] = value
	}
	r := config.FromMap(stacks.Bootstrap.Name, environment, own)
	return Load(r, environment, notifications.Load(r, environment)), r.Err()
}

func settingsOf(t *testing.T, environment string, overrides map[string]string) Settings {
	t.Helper()
	s, err := load(t, environment, overrides)
	require.NoError(t, err)
	return s
}

func valuesOf(t *testing.T, s Settings) values {
	t.Helper()
	v, err := newValues(s)
	require.NoError(t, err)
	return v
}

// People review the complete values of the release here when they change.
func TestUnit_TheValuesAreThoseOfTheGoldenFiles(t *testing.T) {
	t.Parallel()
	for name, settings := range map[string]Settings{
		"dev":        settingsOf(t, "dev", nil),
		"test":       settingsOf(t, "test", nil),
		"prod":       settingsOf(t, "prod", nil),
		"everything": settingsOf(t, "prod", everything()),
	} {
		text, err := json.MarshalIndent(valuesOf(t, settings), "", "  ")
		require.NoError(t, err)
		file := filepath.Join("testdata", "values-"+name+".json")
		if *mocks.Update {
			require.NoError(t, os.WriteFile(file, append(text, '\n'), 0o600))
		}
		want, err := os.ReadFile(file)
		require.NoError(t, err)
		assert.JSONEq(t, string(want), string(text), "if it is meant: go test ./bootstrap/argocd -update")
	}
}

// chartKeys reads the keys that the chart knows.
func chartKeys(t *testing.T) []string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("testdata", versions.ArgoCD.Name+"-"+versions.ArgoCD.Version+".keys.txt"))
	require.NoError(t, err)
	keys := slices.DeleteFunc(strings.Split(strings.TrimSpace(string(text)), "\n"), func(line string) bool {
		return strings.HasPrefix(line, "#")
	})
	assert.True(t, slices.IsSorted(keys))
	return keys
}

// unknown returns the paths in m that are none of the chart's keys.
func unknown(keys []string, prefix string, m pulumi.Map) []string {
	var paths []string
	for key, value := range m {
		path := prefix + key
		if slices.Contains(keys, path+".*") {
			continue
		}
		if nested, ok := value.(pulumi.Map); ok {
			paths = append(paths, unknown(keys, path+".", nested)...)
		} else if !slices.Contains(keys, path) && !slices.Contains(keys, strings.TrimSuffix(prefix, ".")+".*") {
			paths = append(paths, path)
		}
	}
	return paths
}

func TestUnit_TheChartKnowsEveryValue(t *testing.T) {
	t.Parallel()
	keys := chartKeys(t)
	all := everything()
	withoutSecret := maps.Clone(all)
	delete(withoutSecret, "argocdSsoClientSecret")
	for name, overrides := range map[string]map[string]string{"defaults": nil, "everything": all, "workload identity": withoutSecret} {
		input, err := valuesOf(t, settingsOf(t, "prod", overrides)).input(secrets{
			AdminPasswordHash: pulumi.String("hash"), WebhookSecret: pulumi.String("secret"),
			SSOClientSecret: pulumi.String("secret"),
		})
		require.NoError(t, err)
		assert.Empty(t, unknown(keys, "", input), name)

		input["server"].(pulumi.Map)["autoscalling"] = pulumi.Map{"enabled": pulumi.Bool(true)}
		input["crds"] = pulumi.Bool(true)
		assert.ElementsMatch(t, []string{"server.autoscalling.enabled", "crds"}, unknown(keys, "", input), "a mistake is seen")
	}
}

func TestUnit_SecretsAreOutputsAndNowhereElse(t *testing.T) {
	t.Parallel()
	s := settingsOf(t, "prod", everything())
	text, err := json.Marshal(valuesOf(t, s))
	require.NoError(t, err)
	assert.NotContains(t, string(text), "secret\\n")
	assert.NotContains(t, string(text), "the client's secret")
	output, ok := s.SSO.ClientSecret.(pulumi.StringOutput)
	require.True(t, ok)
	assert.True(t, pulumi.IsSecret(output))
}

func TestUnit_PeopleSignInWithEntra(t *testing.T) {
	t.Parallel()
	off := valuesOf(t, settingsOf(t, "prod", nil))
	assert.False(t, off.Configs.CM.AdminEnabled, "outside dev nobody shares a password")
	assert.Empty(t, off.Configs.CM.OIDC)
	assert.Empty(t, off.Server.PodLabels)
	assert.True(t, valuesOf(t, settingsOf(t, "dev", nil)).Configs.CM.AdminEnabled)

	overrides := everything()
	var secretly, federated map[string]any
	v := valuesOf(t, settingsOf(t, "prod", overrides))
	require.NoError(t, yaml.UnmarshalStrict([]byte(v.Configs.CM.OIDC), &secretly))
	assert.Equal(t, "https://login.microsoftonline.com/"+someTenant+"/v2.0", secretly["issuer"])
	assert.Equal(t, "$oidc.entra.clientSecret", secretly["clientSecret"])
	assert.NotContains(t, secretly, "azure")
	assert.NotContains(t, secretly, "rootCA")
	for _, line := range []string{
		"g, " + someAdmins + ", role:platform-admin", "g, role:platform-admin, role:admin",
		"g, " + someTeam + ", role:developer", "p, role:developer, applications, sync, gridos/*, allow",
		"g, " + somePipes + ", role:ci",
	} {
		assert.Contains(t, strings.Split(v.Configs.RBAC.PolicyCSV, "\n"), line)
	}
	for _, line := range strings.Split(v.Configs.RBAC.PolicyCSV, "\n") {
		if strings.HasPrefix(line, "p, ") {
			assert.NotRegexp(t, `, (\*|delete|update|override|create),`, line, "a commit changes what is deployed")
		}
	}

	delete(overrides, "argocdSsoClientSecret")
	v = valuesOf(t, settingsOf(t, "prod", overrides))
	require.NoError(t, yaml.UnmarshalStrict([]byte(v.Configs.CM.OIDC), &federated))
	assert.NotContains(t, federated, "clientSecret")
	assert.Equal(t, map[string]any{"useWorkloadIdentity": true}, federated["azure"])
	assert.Equal(t, "true", v.Server.PodLabels["azure.workload.identity/use"])
	assert.Equal(t, someClient, v.Server.ServiceAccount.Annotations["azure.workload.identity/client-id"])
}

// Argo CD reads each entry as YAML and fills in its strings as Go templates.
func TestUnit_NotificationsAreWellFormed(t *testing.T) {
	t.Parallel()
	v := valuesOf(t, settingsOf(t, "prod", everything())).Notifications
	require.Len(t, v.Subscriptions, 2)
	assert.ElementsMatch(t, []string{"slack:deployments", "teams-workflows:gridos", "gridos"}, v.Subscriptions[0].Recipients)
	assert.Empty(t, v.Subscriptions[0].Selector, "of every Application")
	assert.Equal(t, []string{"github"}, v.Subscriptions[1].Recipients)
	assert.NotContains(t, v.Subscriptions[0].Triggers, "sync-running", "each commit would be told twice in a chat")
	assert.ElementsMatch(t, append([]string{"sync-running"}, v.Subscriptions[0].Triggers...), v.Subscriptions[1].Triggers)
	selector, err := labels.Parse(v.Subscriptions[1].Selector)
	require.NoError(t, err)
	for host, told := range map[string]bool{"github.com": true, "ssh.github.com": true, "gitlab.com": false, "": false} {
		set := labels.Set{"environment": "prod"}
		if host != "" {
			set[naming.LabelGitHost] = host
		}
		assert.Equal(t, told, selector.Matches(set), "GitHub has no commits of %q", host)
	}
	app := map[string]any{
		"app": map[string]any{
			"metadata": map[string]any{"name": "gridos-prod", "namespace": "argocd"},
			"status": map[string]any{
				"sync": map[string]any{"revision": "abc"},
				"operationState": map[string]any{
					"syncResult": map[string]any{"revision": "abc"},
					"operation":  map[string]any{"sync": map[string]any{"resources": []any{map[string]any{"kind": "Service", "name": "gridos"}}}},
				},
			},
		},
		"context": map[string]any{"argocdUrl": "https://argocd.example.org"},
	}
	for _, trigger := range v.Subscriptions[1].Triggers {
		var when []struct{ When string }
		require.NoError(t, yaml.Unmarshal([]byte(v.Triggers["trigger."+trigger]), &when))
		require.Len(t, when, 1)
		assert.NotEmpty(t, when[0].When)

		filled := &strings.Builder{}
		parsed, err := template.New(trigger).Option("missingkey=error").Parse(v.Templates["template."+trigger])
		require.NoError(t, err)
		require.NoError(t, parsed.Execute(filled, app))
		commitIsAlwaysKnown(t, v.Templates["template."+trigger])
		var sent struct {
			Message string
			GitHub  struct {
				Status       struct{ State, Label, TargetURL string }
				RevisionPath string
			}
			Webhook map[string]struct{ Body string }
		}
		require.NoError(t, yaml.Unmarshal([]byte(filled.String()), &sent))
		assert.Contains(t, sent.Message, "gridos-prod ")
		assert.Equal(t, "argocd/gridos-prod", sent.GitHub.Status.Label)
		assert.Equal(t, "https://argocd.example.org/applications/argocd/gridos-prod", sent.GitHub.Status.TargetURL)
		assert.Contains(t, []string{"pending", "success", "error", "failure"}, sent.GitHub.Status.State, "what GitHub knows")
		var body map[string]string
		require.NoError(t, json.Unmarshal([]byte(sent.Webhook["gridos"].Body), &body))
		assert.Equal(t, "abc", body["revision"])
	}
}

// Argo CD fills in revisionPath by itself. Its own default fails without a result, and the message
// is then sent to none of the recipients.
func commitIsAlwaysKnown(t *testing.T, text string) {
	t.Helper()
	var message struct {
		GitHub struct{ RevisionPath string }
	}
	require.NoError(t, yaml.Unmarshal([]byte(text), &message))
	parsed, err := template.New("revision").Parse(message.GitHub.RevisionPath)
	require.NoError(t, err)
	for want, operation := range map[string]any{
		"compared-no-operation": nil,
		"compared-no-result":    map[string]any{"phase": "Running"},
		"compared-no-revision":  map[string]any{"syncResult": map[string]any{"revision": ""}},
		"synced":                map[string]any{"syncResult": map[string]any{"revision": "synced"}},
	} {
		status := map[string]any{"sync": map[string]any{"revision": want}}
		if operation != nil {
			status["operationState"] = operation
		}
		filled := &strings.Builder{}
		require.NoError(t, parsed.Execute(filled, map[string]any{"app": map[string]any{"status": status}}), want)
		assert.Equal(t, want, filled.String())
	}
}

// Sentinel asks for no password: a pod that reaches it can name another Redis to follow, and
// receives the password.
func TestUnit_RedisAnswersArgoCDAndPrometheusAlone(t *testing.T) {
	t.Parallel()
	redis := valuesOf(t, settingsOf(t, "prod", nil)).RedisHA
	prometheus := peerValues{
		NamespaceSelector: &labelSelectorValues{map[string]string{"kubernetes.io/metadata.name": "monitoring"}},
		PodSelector:       labelSelectorValues{map[string]string{"app.kubernetes.io/name": "prometheus"}},
	}
	assert.True(t, redis.NetworkPolicy.Enabled)
	assert.Equal(t, []ingressRuleValues{{[]peerValues{prometheus}, []portValues{{9121, "TCP"}}}}, redis.NetworkPolicy.IngressRules,
		"not Sentinel's port")
	assert.True(t, redis.HAProxy.NetworkPolicy.Enabled)
	var components []string
	for _, rule := range redis.HAProxy.NetworkPolicy.IngressRules {
		require.NotEmpty(t, rule.Selectors, "a rule without selectors lets everything in")
		for _, peer := range rule.Selectors {
			require.NotEmpty(t, peer.PodSelector.MatchLabels, "an empty selector selects all pods")
			if peer.NamespaceSelector != nil {
				assert.Equal(t, prometheus, peer)
				assert.Equal(t, []portValues{{9101, "TCP"}}, rule.Ports)
				continue
			}
			assert.Empty(t, rule.Ports, "those of Redis")
			assert.Equal(t, "argocd", peer.PodSelector.MatchLabels["app.kubernetes.io/instance"])
			components = append(components, peer.PodSelector.MatchLabels["app.kubernetes.io/name"])
		}
	}
	assert.ElementsMatch(t, []string{"argocd-server", "argocd-repo-server", "argocd-application-controller"}, components,
		"those that Argo CD's own manifests let in")
}
