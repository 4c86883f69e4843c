package argocd

import (
	"encoding/json"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gridos/sharedinfra/bootstrap/appproject"
	"github.com/gridos/sharedinfra/internal/config"
	"github.com/gridos/sharedinfra/internal/naming"
)

func TestUnit_MistakesNameTheirKey(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		key, value string
		want       string // of the message, or "" when the value is right
		with       map[string]string
	}{
		{"argocdAdminPasswordIssued", "yesterday", `"yesterday" is not a moment`, nil},
		{"argocdAdminPasswordIssued", "2999-01-01T00:00:00Z", "is still to come", nil},
		{"argocdAdminPasswordIssued", "2025-06-01T12:00:00+02:00", "", nil},
		{"argocdServerMaxReplicas", "3", "", map[string]string{"argocdServerMinReplicas": "3"}},
		{"argocdServerMaxReplicas", "3", "3 is less than argocdServerMinReplicas 4", map[string]string{"argocdServerMinReplicas": "4"}},
		{"argocdSsoClientId", "gridos", `"gridos" is not a GUID`, map[string]string{"argocdSsoTenantId": someTenant}},
		{"argocdSsoTenantId", "contoso.com", `"contoso.com" is not a GUID`, map[string]string{"argocdSsoClientId": someClient}},
		{"argocdSsoTenantId", "", "argocdSsoClientId is set", map[string]string{"argocdSsoClientId": someClient}},
		{"argocdSsoClientId", "", "argocdSsoClientSecret is set", map[string]string{"argocdSsoClientSecret": "s"}},
		{"argocdSsoClientId", "", "no one can sign in with the groups", map[string]string{"argocdAdminGroups": `["` + someAdmins + `"]`}},
		{
			"argocdDeveloperGroups", `["developers"]`, `"developers" is not a GUID`,
			map[string]string{"argocdSsoClientId": someClient, "argocdSsoTenantId": someTenant},
		},
		{"sourceRepositories", `["*"]`, "anywhere that matches", nil},
		{"sourceRepositories", `["https://github.com/gridos/*"]`, "anywhere that matches", nil},
		{"sourceRepositories", `["!https://github.com/gridos/x"]`, "is not the address of a repository", nil},
		{"sourceRepositories", `[]`, "is empty", nil},
		{"platformRepositories", `["https://charts.example.com/*"]`, "anywhere that matches", nil},
		{"platformRepositories", `["oci://registry.example.com/charts"]`, "write registry.example.com/charts", nil},
		{"sourceRepositories", `["oci://registry.example.com/charts"]`, "without the scheme", nil},
		{"platformRepositories", `["registry.example.com/charts"]`, "", nil},
		{"platformNamespaces", `["*"]`, "patterns are refused", nil},
		{"platformNamespaces", `["argocd"]`, "change its own permissions", nil},
		{"platformNamespaces", `["kube-system"]`, "change its own permissions", nil},
		{"platformNamespaces", `["kube-public"]`, "change its own permissions", nil},
		{"platformNamespaces", `["kube-node-lease"]`, "change its own permissions", nil},
		{"platformNamespaces", `["gridos"]`, "a project of its own", nil},
		{"platformNamespaces", `["monitoring", "tracing"]`, "", nil},
		{"syncWindowSchedule", "0 8 * * 1-7", "is not a schedule", nil}, // Sunday is 0
		{"syncWindowSchedule", "@daily", "is not a schedule", nil},
		{"syncWindowSchedule", "TZ=0", "leave it to syncWindowTimeZone", nil},
		{"sourceRepositories", `["https://a:hunter2@github.com/o/r.git"]`, "has a password or token in the address", nil},
		{"platformRepositories", `["https://ghp_hunter2@github.com/o/r"]`, "has a password or token in the address", nil},
		{"chartRepository", "https://a:hunter2@charts.example.com", "has a password or token in the address", nil},
		{"syncWindowSchedule", "*/30 8-16 1,15 * 1-5", "", nil},
		{"syncWindowDuration", "8", "is not a duration", nil},
		{"syncWindowTimeZone", "Berlin", "is not a time zone", nil},
		{"syncWindowTimeZone", "Europe/Berlin", "", nil},
	} {
		overrides := map[string]string{test.key: test.value}
		for key, value := range test.with {
			overrides[key] = value
		}
		_, err := load(t, "dev", overrides)
		if test.want == "" {
			require.NoError(t, err, "%s: %s", test.key, test.value)
			continue
		}
		require.ErrorContains(t, err, "gridos-bootstrap:"+test.key+": ", "%s: %s", test.key, test.value)
		require.ErrorContains(t, err, test.want)
		var mistakes *config.Error
		require.ErrorAs(t, err, &mistakes)
		assert.Len(t, mistakes.Mistakes, 1, "%s: %s", test.key, test.value)
	}
}

func TestUnit_ProdSyncsWhilePeopleAreThere(t *testing.T) {
	t.Parallel()
	for environment, want := range map[string][]appproject.SyncWindow{
		"dev": nil, "test": nil,
		"prod": {{Kind: "allow", Schedule: "0 8 * * 1-5", Duration: "8h0m0s", TimeZone: "UTC", Applications: []string{"*"}}},
	} {
		projects := settingsOf(t, environment, nil).projects()
		require.Len(t, projects, 3)
		for _, project := range projects[:2] {
			assert.Equal(t, want, project.Spec.SyncWindows, "%s in %s", project.Name, environment)
		}
	}
	emergency := settingsOf(t, "prod", map[string]string{"syncWindowManual": "true", "syncWindowDuration": "90m"}).projects()
	assert.True(t, emergency[0].Spec.SyncWindows[0].ManualSync)
	assert.Equal(t, (90 * time.Minute).String(), emergency[0].Spec.SyncWindows[0].Duration)
	assert.Empty(t, settingsOf(t, "prod", map[string]string{"syncWindowSchedule": ""}).projects()[0].Spec.SyncWindows)
}

func TestUnit_TheApplicationStaysInItsNamespace(t *testing.T) {
	t.Parallel()
	project := settingsOf(t, "prod", everything()).projects()[0]
	assert.Equal(t, "gridos", project.Name)
	assert.Equal(t, []appproject.Destination{{Server: "https://kubernetes.default.svc", Namespace: "gridos"}}, project.Spec.Destinations)
	assert.NotNil(t, project.Spec.ClusterResourceWhitelist, "Argo CD takes null for everything in old projects")
	assert.Empty(t, project.Spec.ClusterResourceWhitelist)
	for _, kind := range project.Spec.NamespaceResourceWhitelist {
		assert.NotContains(t, []string{"*", "Secret", "Role", "RoleBinding", "ResourceQuota", "Application"}, kind.Kind)
		assert.NotContains(t, kind.Group, "*")
	}
	for _, role := range project.Spec.Roles {
		assert.Equal(t, map[string][]string{"ci": {somePipes}, "developer": {someTeam}}[role.Name], role.Groups)
	}
}

// An Application that names no project belongs to it.
func TestUnit_ArgoCDsOwnProjectPermitsNothing(t *testing.T) {
	t.Parallel()
	for _, environment := range naming.Environments() {
		projects := settingsOf(t, environment, everything()).projects()
		i := slices.IndexFunc(projects, func(p appproject.Project) bool { return p.Name == "default" })
		require.GreaterOrEqual(t, i, 0, "it stays as open as argocd-server creates it")
		project := projects[i]
		text, err := json.Marshal(project.Spec)
		require.NoError(t, err)
		var spec map[string]any
		require.NoError(t, json.Unmarshal(text, &spec))
		for _, list := range []string{"sourceRepos", "destinations", "clusterResourceWhitelist"} {
			assert.Equal(t, []any{}, spec[list], "%s: what is left out would stay as argocd-server wrote it", list)
		}
	}
}
