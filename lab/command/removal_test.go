package command

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/tools/clientcmd"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/gridos/sharedinfra/internal/config/projectfile"
	"github.com/gridos/sharedinfra/lab/internal/daemon"
	"github.com/gridos/sharedinfra/lab/internal/host/site"
	"github.com/gridos/sharedinfra/stacks"
)

var (
	definitions = schema.GroupVersionResource{Group: "apiextensions.k8s.io", Version: "v1", Resource: "customresourcedefinitions"}
	rollouts    = schema.GroupVersionResource{Group: "argoproj.io", Version: "v1alpha1", Resource: "rollouts"}
	namespaces  = schema.GroupVersionResource{Version: "v1", Resource: "namespaces"}
)

// bounded is much longer than an operation on a stack whose cluster is gone takes, and much shorter
// than any wait of the provider.
const bounded = 90 * time.Second

// A chart moves to another version, the engine stops and comes back, and at last the cluster is
// lost. All of it runs in one environment, because each step starts from the result of the one
// before.
func TestEngine_DefinitionsAreUpgradedAndKeptAndAGoneClusterHangsNothing(t *testing.T) {
	if testing.Short() {
		t.Skip("-short: it installs the charts twice")
	}
	checkout(t)
	s, err := site.Open("dev")
	require.NoError(t, err)
	_, _, err = lab(t, t.Context(), "up")
	require.NoError(t, err)
	objects := clusterOf(t, s).Objects

	t.Run("another version of a chart updates one release, and its definitions", func(t *testing.T) {
		aChartIsBumped(t, s, objects)
	})
	t.Run("without the releases the definitions and what was made of them stay", func(t *testing.T) {
		definitionsOutliveReleases(t, s, objects)
	})
	t.Run("the plain CLI forgets a cluster that is gone, as docs/recovery.md says", func(t *testing.T) {
		theCLIForgetsTheCluster(t, s)
	})
	t.Run("down forgets it by itself", func(t *testing.T) {
		require.NoError(t, daemon.Stop(t.Context(), s))
		require.NoError(t, os.RemoveAll(s.ControlPlaneDir()))
		started := time.Now()
		out, _, err := lab(t, t.Context(), "down")
		require.NoError(t, err)
		assert.Less(t, time.Since(started), 2*bounded)
		assert.Contains(t, out, "The simulated Azure has 0 resources left.")
		assert.False(t, s.Exists())
	})
}

func aChartIsBumped(t *testing.T, s site.Site, objects dynamic.Interface) {
	t.Helper()
	before := map[string]map[string]string{}
	for _, release := range []string{"argocd", "argo-rollouts", "external-secrets"} {
		before[release] = records(t, s, release)
		require.Len(t, before[release], 1, release)
	}
	chart := filepath.Join(s.ChartsDir(), "chartRepository", "argo-rollouts")
	configure(t, projectfile.StackFile(s.ProjectDir(stacks.Bootstrap.Directory), s.Environment),
		map[string]any{"gridos-bootstrap:argoRolloutsChartVersion": "99.0.0"})
	definition := filepath.Join(chart, "templates", "customresourcedefinition-rollouts.argoproj.io.yaml")
	text, err := os.ReadFile(definition)
	require.NoError(t, err)
	columns := regexp.MustCompile(`(?m)^( *)([- ]*)additionalPrinterColumns:\n`)
	require.Regexp(t, columns, string(text))
	more := columns.ReplaceAllString(string(text),
		"${0}${1}  - {name: Bumped, type: string, jsonPath: .metadata.name}\n")
	require.NoError(t, os.WriteFile(definition, []byte(more), 0o600))

	for _, verb := range []string{"preview", "up"} {
		out, _, err := lab(t, t.Context(), verb)
		require.NoError(t, err)
		assert.Regexp(t, `(?m)^gridos-bootstrap/dev +1 updated `, out, verb)
		assert.Len(t, unchanged.FindAllString(out, -1), 3, verb)
	}
	assert.Equal(t, before["argocd"], records(t, s, "argocd"))
	assert.Equal(t, before["external-secrets"], records(t, s, "external-secrets"))
	assert.Len(t, records(t, s, "argo-rollouts"), 2)
	assert.Regexp(t, `^99\.0\.0\+stand-in\.`, readOutputs(t).Bootstrap.ArgoRolloutsVersion)
	rollout, err := objects.Resource(definitions).Get(t.Context(), "rollouts.argoproj.io", metav1.GetOptions{})
	require.NoError(t, err)
	assert.Contains(t, asJSON(t, rollout), `"name":"Bumped"`)
}

func asJSON(t *testing.T, object *unstructured.Unstructured) string {
	t.Helper()
	text, err := object.MarshalJSON()
	require.NoError(t, err)
	return string(text)
}

func definitionsOutliveReleases(t *testing.T, s site.Site, objects dynamic.Interface) {
	t.Helper()
	kept := &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "argoproj.io/v1alpha1", "kind": "Rollout", "metadata": map[string]any{"name": "kept"},
		"spec": map[string]any{
			"selector": map[string]any{"matchLabels": map[string]any{"app": "kept"}},
			"template": map[string]any{
				"metadata": map[string]any{"labels": map[string]any{"app": "kept"}},
				"spec":     map[string]any{"containers": []any{map[string]any{"name": "c", "image": "registry.example.com/c:1"}}},
			},
			"strategy": map[string]any{"canary": map[string]any{}},
		},
	}}
	made, err := objects.Resource(rollouts).Namespace("default").Create(t.Context(), kept, metav1.CreateOptions{})
	require.NoError(t, err)

	for _, project := range []stacks.Project{stacks.Apps, stacks.Bootstrap} {
		out, err := plainCLI(t, s, project, "destroy", "--yes", "--skip-preview")
		require.NoError(t, err, out)
	}
	for _, name := range []string{"argocd", "argo-rollouts", "external-secrets"} {
		_, err := objects.Resource(namespaces).Get(t.Context(), name, metav1.GetOptions{})
		assert.True(t, apierrors.IsNotFound(err), "%s: %v", name, err)
	}
	list, err := objects.Resource(definitions).List(t.Context(), metav1.ListOptions{})
	require.NoError(t, err)
	groups := map[string]int{}
	for _, definition := range list.Items {
		group, _, err := unstructured.NestedString(definition.Object, "spec", "group")
		require.NoError(t, err)
		if managed := definition.GetLabels()["app.kubernetes.io/managed-by"]; managed == "Helm" {
			groups[group]++
		}
	}
	// Argo CD has three definitions, Argo Rollouts five.
	assert.Equal(t, 8, groups["argoproj.io"], "%v", groups)
	assert.Positive(t, groups["external-secrets.io"], "%v", groups)
	still, err := objects.Resource(rollouts).Namespace("default").Get(t.Context(), "kept", metav1.GetOptions{})
	require.NoError(t, err)
	assert.Equal(t, made.GetUID(), still.GetUID())

	// The next installation takes them over.
	_, _, err = lab(t, t.Context(), "up")
	require.NoError(t, err)
}

// theCLIForgetsTheCluster lets the states of apps and bootstrap refer to a cluster that does not
// answer. It follows the document's procedure, and restores the states.
func theCLIForgetsTheCluster(t *testing.T, s site.Site) {
	t.Helper()
	config, err := clientcmd.LoadFromFile(s.KubeconfigFile())
	require.NoError(t, err)
	server := config.Clusters[config.Contexts[config.CurrentContext].Cluster].Server
	kept := map[stacks.Project]string{}
	for _, project := range []stacks.Project{stacks.Apps, stacks.Bootstrap} {
		before := filepath.Join(t.TempDir(), "before.json")
		kept[project] = before
		out, err := plainCLI(t, s, project, "stack", "export", "--show-secrets", "--file", before)
		require.NoError(t, err, out)
		state, err := os.ReadFile(before)
		require.NoError(t, err)
		require.Contains(t, string(state), server)
		gone := filepath.Join(t.TempDir(), "gone.json")
		require.NoError(t, os.WriteFile(gone, []byte(strings.ReplaceAll(string(state), server, "https://127.0.0.1:1")), 0o600))
		out, err = plainCLI(t, s, project, "stack", "import", "--file", gone)
		require.NoError(t, err, out)
	}
	started := time.Now()
	for _, project := range []stacks.Project{stacks.Apps, stacks.Bootstrap} {
		out, err := plainCLI(t, s, project, "destroy", "--yes", "--skip-preview")
		require.Error(t, err, out)
		assert.Contains(t, out, "configured Kubernetes cluster is unreachable")
	}
	t.Setenv("PULUMI_K8S_DELETE_UNREACHABLE", "true")
	for _, step := range []struct {
		project stacks.Project
		args    []string
	}{
		{stacks.Apps, []string{"destroy", "--yes", "--skip-preview"}},
		{stacks.Bootstrap, []string{"state", "unprotect", "--all", "--yes"}},
		{stacks.Bootstrap, []string{"refresh", "--yes", "--skip-preview"}},
		{stacks.Bootstrap, []string{"destroy", "--yes", "--skip-preview"}},
	} {
		out, err := plainCLI(t, s, step.project, step.args...)
		require.NoError(t, err, out)
	}
	assert.Less(t, time.Since(started), bounded)
	out, _, err := lab(t, t.Context(), "status", "--json")
	require.NoError(t, err)
	var answer struct{ Stacks []stackState }
	require.NoError(t, json.Unmarshal([]byte(out), &answer))
	assert.Zero(t, answer.Stacks[1].Resources, "bootstrap")
	assert.Zero(t, answer.Stacks[2].Resources, "apps")
	for project, before := range kept {
		out, err := plainCLI(t, s, project, "stack", "import", "--file", before)
		require.NoError(t, err, out)
	}
}

// plainCLI runs a command of the Pulumi CLI on a stack, as a person would after `lab env`.
func plainCLI(t *testing.T, s site.Site, project stacks.Project, args ...string) (output string, err error) {
	t.Helper()
	record, _, err := s.Running()
	require.NoError(t, err)
	command := exec.CommandContext(t.Context(), "pulumi", append(args, "--stack", s.Environment, "--non-interactive")...)
	command.Dir = s.WorkDir(project.Name)
	command.Env = append(os.Environ(), "TMPDIR="+s.TemporaryDir()) // the provider leaves kubeconfigs there
	for name, value := range s.Variables(record) {
		command.Env = append(command.Env, name+"="+value)
	}
	text, err := command.CombinedOutput()
	t.Logf("pulumi %s in %s: %v\n%s", strings.Join(args, " "), project.Name, err, text)
	return string(text), err
}
