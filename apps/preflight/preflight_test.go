package preflight_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gridos/sharedinfra/apps/preflight"
)

const (
	served   = `{"kind": "APIResourceList", "resources": [{"name": "appprojects"}, {"name": "applications"}]}`
	unserved = `{"kind": "APIResourceList", "resources": [{"name": "rollouts"}]}`
	projects = `{"items": [{"metadata": {"name": "default"}}, {"metadata": {"name": "gridos"}, "spec": {"destinations": [
	{"server": "https://kubernetes.default.svc", "namespace": "gridos"}, {"server": "https://elsewhere", "namespace": "reports"}],
	"sourceRepos": ["https://github.com/gridos/sharedinfra.git", "git@github.com:gridos/other.git", "registry.example.com/charts"],
	"clusterResourceWhitelist": [{"group": "rbac.authorization.k8s.io", "kind": "ClusterRole"}]}}]}`
)

func kubeconfig(server string) string {
	return `{apiVersion: v1, kind: Config, current-context: c, contexts: [{name: c, context: {cluster: c, user: u}}],
clusters: [{name: c, cluster: {server: "` + server + `", insecure-skip-tls-verify: true}}], users: [{name: u, user: {token: t}}]}`
}

// serve answers the two questions, over TLS because client-go signs in over nothing else; an empty
// answer is 404.
func serve(t *testing.T, status int, group, projects string) string {
	t.Helper()
	server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		answer := map[string]string{
			"/apis/argoproj.io/v1alpha1": group, "/apis/argoproj.io/v1alpha1/namespaces/argocd/appprojects": projects,
		}[r.URL.Path]
		switch {
		case r.Header.Get("Authorization") != "Bearer t":
			w.WriteHeader(http.StatusUnauthorized)
		case status != http.StatusOK:
			w.WriteHeader(status)
		case answer == "":
			w.WriteHeader(http.StatusNotFound)
		default:
			_, err := w.Write([]byte(answer))
			assert.NoError(t, err)
		}
	}))
	t.Cleanup(server.Close)
	return kubeconfig(server.URL)
}

func TestUnit_WhatIsMissingIsOneSentenceWithTheRemedy(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		kubeconfig string
		want       string
	}{
		"ready":    {serve(t, http.StatusOK, served, projects), ""},
		"no group": {serve(t, http.StatusOK, "", projects), "the cluster of dev has no CustomResourceDefinition applications.argoproj.io; run `pulumi -C bootstrap up -s dev` first"},
		"no kind":  {serve(t, http.StatusOK, unserved, projects), "the cluster of dev has no CustomResourceDefinition applications.argoproj.io; run `pulumi -C bootstrap up -s dev` first"},
		"no project": {
			serve(t, http.StatusOK, served, `{"items": []}`),
			"the cluster of dev has no AppProject gridos in the namespace argocd; run `pulumi -C bootstrap up -s dev` first",
		},
		"no list of projects": {
			serve(t, http.StatusOK, served, ""),
			"the cluster of dev has no AppProject gridos in the namespace argocd; run `pulumi -C bootstrap up -s dev` first",
		},
		"projects of no kind": {serve(t, http.StatusOK, served, "<html>"), "answers /apis/argoproj.io/v1alpha1/namespaces/argocd/appprojects with something else"},
		"forbidden":           {serve(t, http.StatusForbidden, served, projects), "sign in as an administrator of it"},
		"ill":                 {serve(t, http.StatusServiceUnavailable, served, projects), "503 Service Unavailable; try again"},
		"no kubernetes":       {serve(t, http.StatusOK, "<html>", projects), "something else than Kubernetes"},
		"unreachable":         {kubeconfig("https://127.0.0.1:1"), "the cluster of dev does not answer within 15s"},
		"no kubeconfig":       {"not YAML: [", "the kubeconfig of stack dev of gridos-infra cannot be used; run `pulumi -C infra up -s dev`"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			err := preflight.Check(t.Context(), test.kubeconfig, "argocd", uses(preflight.Use{Namespaces: []string{"gridos"}}), "dev")
			if test.want == "" {
				require.NoError(t, err)
				return
			}
			require.ErrorContains(t, err, test.want)
			assert.NotContains(t, err.Error(), "\n")
		})
	}
	err := preflight.Check(t.Context(), serve(t, http.StatusOK, served, `{"items": []}`), "argocd",
		map[string]preflight.Use{"gridos": {}, "platform": {}}, "dev")
	require.ErrorContains(t, err, "no AppProject gridos and no AppProject platform in the namespace")
	err = preflight.Check(t.Context(), serve(t, http.StatusOK, served, projects), "argocd",
		uses(preflight.Use{Namespaces: []string{"gridos", "reports", "tracing"}}), "dev")
	require.EqualError(t, err, "the cluster of dev does not permit the namespace reports in the AppProject gridos, nor tracing in the "+
		"AppProject gridos as a destination; change the namespace in the catalogue, or list it in platformNamespaces of gridos-bootstrap "+
		"and run `pulumi -C bootstrap up -s dev` first")
	anywhere := strings.Replace(projects, `"namespace": "reports"`, `"namespace": "*"`, 1)
	require.NoError(t, preflight.Check(t.Context(), serve(t, http.StatusOK, served, anywhere), "argocd",
		uses(preflight.Use{Namespaces: []string{"reports"}}), "dev"), "patterns are Argo CD's to judge")
}

// uses is what the Applications of the project gridos need of it.
func uses(use preflight.Use) map[string]preflight.Use { return map[string]preflight.Use{"gridos": use} }

// Two addresses are equal here exactly if they are equal to Argo CD.
func TestUnit_ASourceIsPermittedAsArgoCDComparesIt(t *testing.T) {
	t.Parallel()
	cluster := serve(t, http.StatusOK, served, projects)
	for address, permitted := range map[string]bool{
		"https://github.com/gridos/sharedinfra.git":  true,
		"https://github.com/gridos/sharedinfra":      true,
		"https://GitHub.com/GridOS/sharedinfra.git":  true,
		"https://github.com/gridos/sharedinfra.git/": false,
		"https://github.com/gridos/sharedinfra/":     false,
		"http://github.com/gridos/sharedinfra.git":   false,
		"https://github.com/other/fork.git":          false,
		"git@github.com:gridos/sharedinfra.git":      false,
		"git@github.com:gridos/other.git":            true,
		"ssh://git@github.com/gridos/other":          true,
		"registry.example.com/charts":                true,
		"oci://registry.example.com/charts":          false,
		"https://charts.example.com":                 false,
	} {
		err := preflight.Check(t.Context(), cluster, "argocd", uses(preflight.Use{Repositories: []string{address}}), "dev")
		if permitted {
			require.NoError(t, err, address)
			continue
		}
		require.EqualError(t, err, "the cluster of dev does not permit the repository "+address+" in the AppProject gridos as a "+
			"source; change the repository in the catalogue, or list it in sourceRepositories (for gridos) or platformRepositories "+
			"(for platform) of gridos-bootstrap and run `pulumi -C bootstrap up -s dev` first")
	}
	anywhere := strings.Replace(projects, `"registry.example.com/charts"`, `"https://charts.example.com/*"`, 1)
	require.NoError(t, preflight.Check(t.Context(), serve(t, http.StatusOK, served, anywhere), "argocd",
		uses(preflight.Use{Repositories: []string{"https://charts.example.com/x"}}), "dev"), "patterns are Argo CD's to judge")
}

func TestUnit_AllThatIsRefusedIsSaidAtOnce(t *testing.T) {
	t.Parallel()
	err := preflight.Check(t.Context(), serve(t, http.StatusOK, served, projects), "argocd", uses(preflight.Use{
		Namespaces: []string{"tracing"}, Repositories: []string{"https://x.example.com"}, CreatesNamespaces: true,
	}), "dev")
	require.ErrorContains(t, err, "does not permit the namespace tracing")
	require.ErrorContains(t, err, "; it does not permit the repository https://x.example.com")
	require.ErrorContains(t, err, "; it does not permit the creation of namespaces in the AppProject gridos; remove CreateNamespace=true")
	permitted := strings.Replace(projects, `{"group": "rbac.authorization.k8s.io", "kind": "ClusterRole"}`,
		`{"group": "", "kind": "Namespace"}`, 1)
	require.NoError(t, preflight.Check(t.Context(), serve(t, http.StatusOK, served, permitted), "argocd",
		uses(preflight.Use{CreatesNamespaces: true}), "dev"))
}

func TestUnit_ItEndsWithTheUpdate(t *testing.T) {
	t.Parallel()
	release := make(chan struct{})
	server := httptest.NewTLSServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { <-release }))
	t.Cleanup(server.Close)
	t.Cleanup(func() { close(release) })
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	begin := time.Now()
	err := preflight.Check(ctx, kubeconfig(server.URL), "argocd", nil, "dev")
	require.ErrorIs(t, err, context.DeadlineExceeded)
	assert.Less(t, time.Since(begin), preflight.Timeout/2)
}
