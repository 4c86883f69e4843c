package notifications

import (
	"encoding/json"
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gridos/sharedinfra/internal/config"
)

func load(environment string, values map[string]string) (Settings, error) {
	own := map[string]string{}
	for key, value := range values {
		own["gridos-bootstrap:"+key] = value
	}
	r := config.FromMap("gridos-bootstrap", environment, own)
	return Load(r, environment), r.Err()
}

func TestUnit_MistakesNameTheirKeyAndTheRemedy(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		environment, key, want string
		values                 map[string]string
	}{
		{"prod", "notificationsRecipients", `no person would hear of a release that failed in prod; list one, such as ["teams"]`, nil},
		{
			"prod", "notificationsRecipients", "names no chat and no webhook", // a status that no person looks for
			map[string]string{
				"notificationsRecipients": `["github"]`, "notificationsGitHubAppId": "1", "notificationsGitHubInstallationId": "2",
			},
		},
		{
			"dev", "notificationsRecipients", `"mail" is not known here; list some of github, slack, teams, webhook`,
			map[string]string{"notificationsRecipients": `["mail"]`},
		},
		{"dev", "notificationsRecipients", "teams is listed twice", map[string]string{"notificationsRecipients": `["teams", "teams"]`}},
		{
			"dev", "notificationsSlackChannel", "is empty, but notificationsRecipients lists slack",
			map[string]string{"notificationsRecipients": `["slack"]`},
		},
		{"dev", "notificationsSlackChannel", "has no effect", map[string]string{"notificationsSlackChannel": "deployments"}},
		{
			"dev", "notificationsGitHubAppId", "is empty, but notificationsRecipients lists github",
			map[string]string{"notificationsRecipients": `["github"]`, "notificationsGitHubInstallationId": "2"},
		},
		{
			"dev", "notificationsGitHubInstallationId", `"one" is not a number`,
			map[string]string{
				"notificationsRecipients": `["github"]`, "notificationsGitHubAppId": "1", "notificationsGitHubInstallationId": "one",
			},
		},
	} {
		_, err := load(test.environment, test.values)
		require.ErrorContains(t, err, "gridos-bootstrap:"+test.key+": ", "%v", test.values)
		require.ErrorContains(t, err, test.want, "%v", test.values)
		var mistakes *config.Error
		require.ErrorAs(t, err, &mistakes)
		assert.Len(t, mistakes.Mistakes, 1, "%v", test.values)
	}
	for _, environment := range []string{"dev", "test"} {
		_, err := load(environment, nil)
		require.NoError(t, err, "%s may do without", environment)
	}
	for address, want := range map[string]string{
		"https://hooks.gridos.internal/releases": "", "http://127.0.0.1:8080/releases": "",
		"http://hooks.gridos.internal":            "is not an https address",
		"hooks.gridos.internal":                   "is not an address",
		"https://a:hunter2@hooks.gridos.internal": "has a password or token in the address",
	} {
		_, err := load("prod", map[string]string{"notificationsRecipients": `["webhook"]`, "notificationsWebhookUrl": address})
		if want == "" {
			require.NoError(t, err, address)
			continue
		}
		require.ErrorContains(t, err, "gridos-bootstrap:notificationsWebhookUrl: ", address)
		require.ErrorContains(t, err, want, address)
	}
}

// A notifier refers to its secret by the entry's name, and the entry is in the Secret.
func TestUnit_EachRecipientReadsTheSecretThatItHas(t *testing.T) {
	t.Parallel()
	for _, name := range Services() {
		s := Settings{Recipients: []string{name}, GitHubAppID: "1", GitHubInstallationID: "2", SlackChannel: "c", WebhookURL: "https://w"}
		v, err := s.Values("dev", Subject{Name: "n", URL: "u", Commit: "c"}, []Event{{Name: "happened", When: "true", Revision: "r"}})
		require.NoError(t, err)
		require.Len(t, v.Notifiers, 1)
		require.Len(t, v.Subscriptions, 1)
		entry := secrets[name]
		for _, settings := range v.Notifiers {
			assert.Contains(t, settings, "$"+entry+"\n", name)
		}
		var brought []externalSecret
		for _, of := range []Controller{ArgoCD, Rollouts} {
			brought = append(brought, s.secretSpec(of).Data...)
		}
		want := externalSecret{SecretKey: entry, RemoteRef: remoteRef{Key: VaultSecret(name)}}
		assert.Contains(t, brought, want)
		assert.Regexp(t, "^[A-Za-z0-9-]{1,127}$", VaultSecret(name), "a name in a key vault")
	}
}

// Triggers and templates are there all the same: the first recipient needs one line.
func TestUnit_WithoutARecipientEverythingElseIsThere(t *testing.T) {
	t.Parallel()
	v, err := Settings{}.Values("dev", Subject{Name: "n", URL: "u"}, []Event{{Name: "happened"}, {Name: "pending", OnlyGitHub: true}})
	require.NoError(t, err)
	assert.Len(t, v.Templates, 2)
	assert.Len(t, v.Triggers, 2)
	assert.Empty(t, v.Notifiers)
	assert.Empty(t, v.Subscriptions)
	text, err := json.Marshal(v)
	require.NoError(t, err)
	assert.Contains(t, string(text), `"secret":{"create":false}`)
	assert.Empty(t, Settings{}.Namespaces())
	assert.True(t, slices.IsSorted(Services()))
}
