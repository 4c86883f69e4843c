package rendered_test

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/registry"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/static"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/mod/modfile"

	"github.com/gridos/sharedinfra/internal/rendered"
)

// chartFiles returns the files of a chart of our own: with hooks, a definition, lookup, a chart
// inside and values made by chance.
func chartFiles(version string) map[string]string {
	files := map[string]string{
		"own/Chart.yaml": `
apiVersion: v2
name: own
version: VERSION
appVersion: VERSION
kubeVersion: ">=1.30.0-0"
dependencies:
- name: inner
  version: 0.1.0
  condition: inner.enabled
`,
		"own/values.yaml": "replicas: 3\ntag: 1.4.2\ninner: {enabled: true, port: 80}\nextra: {enabled: false}\n",
		"own/crds/widgets.yaml": `
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: widgets.example.com}
spec: {group: example.com, scope: Namespaced, names: {kind: Widget, plural: widgets}, versions: [{name: v1, served: true, storage: true}]}
`,
		"own/templates/_labels.tpl": `
{{- define "labels" -}}
helm.sh/chart: {{ .Chart.Name }}-{{ .Chart.Version }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/name: own
{{- end }}
`,
		"own/templates/NOTES.txt": "Installed {{ .Chart.Version }}.\n",
		"own/templates/deployment.yaml": `
apiVersion: apps/v1
kind: Deployment
metadata:
  name: {{ .Release.Name }}
  namespace: {{ .Release.Namespace }}
  labels: {{- include "labels" . | nindent 4 }}
spec:
  replicas: {{ .Values.replicas }}
  selector: {matchLabels: {app.kubernetes.io/name: own}}
  template:
    metadata:
      labels: {{- include "labels" . | nindent 8 }}
      annotations: {checksum/config: {{ .Chart.Version | sha256sum }}}
    spec:
      containers:
      - name: web
        image: registry.example.com/own:{{ .Values.tag }}
        env:
        - {name: DATABASE_PASSWORD, value: {{ .Values.password | default "none" | quote }}}
`,
		"own/templates/account.yaml": `
apiVersion: v1
kind: ServiceAccount
metadata:
  name: {{ .Release.Name }}
  labels: {{- include "labels" . | nindent 4 }}
`,
		"own/templates/budget.yaml": `
{{- if not .Values.extra.enabled }}
apiVersion: policy/v1
kind: PodDisruptionBudget
metadata: {name: {{ .Release.Name }}}
spec: {minAvailable: 2, selector: {matchLabels: {app.kubernetes.io/name: own}}}
{{- end }}
`,
		"own/templates/chance.yaml": `
apiVersion: v1
kind: Secret
metadata: {name: {{ .Release.Name }}-chance}
stringData:
  key: {{ randAlphaNum 32 }}
  fixed: {{ .Values.fixed | default "quiet" | quote }}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: {{ .Release.Name }}-{{ randAlphaNum 6 | lower }}}
data:
  file: |
    session = {{ uuidv4 }}
    level = {{ .Values.level | default "info" }}
`,
		"own/templates/lookup.yaml": `
{{- $there := lookup "v1" "ConfigMap" .Release.Namespace "there" }}
apiVersion: v1
kind: ConfigMap
metadata: {name: found}
data: {found: {{ ternary "yes" "no" (not (empty $there)) | quote }}}
`,
		"own/templates/hook.yaml": `
apiVersion: batch/v1
kind: Job
metadata: {name: migrate, annotations: {helm.sh/hook: "pre-install,pre-upgrade"}}
spec:
  template:
    spec: {restartPolicy: Never, containers: [{name: migrate, image: "registry.example.com/own:{{ .Values.tag }}"}]}
---
apiVersion: v1
kind: Pod
metadata: {name: asks, annotations: {helm.sh/hook: test}}
spec: {containers: [{name: asks, image: "registry.example.com/asks:VERSION"}]}
`,
		"own/charts/inner/Chart.yaml": "apiVersion: v2\nname: inner\nversion: 0.1.0\n",
		"own/charts/inner/templates/service.yaml": `
apiVersion: v1
kind: Service
metadata: {name: inner}
spec: {selector: {app: inner}, ports: [{name: http, port: {{ .Values.port }}}]}
`,
	}
	if version != "1.0.0" {
		files["own/values.yaml"] = "replicas: 3\ntag: 1.5.0\ninner: {enabled: true, port: 8080}\nextra: {enabled: true}\n"
		files["own/crds/widgets.yaml"] = strings.Replace(files["own/crds/widgets.yaml"], "v1, served", "v2, served", 1)
		files["own/templates/extra.yaml"] = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: extra}\ndata: {a: b}\n"
	}
	for name := range files {
		files[name] = strings.ReplaceAll(files[name], "VERSION", version)
	}
	return files
}

func archiveOf(t *testing.T, files map[string]string) []byte {
	t.Helper()
	var zipped bytes.Buffer
	compressed := gzip.NewWriter(&zipped)
	archive := tar.NewWriter(compressed)
	for _, name := range slices.Sorted(maps.Keys(files)) {
		require.NoError(t, archive.WriteHeader(&tar.Header{Name: name, Mode: 0o644, Size: int64(len(files[name]))}))
		_, err := archive.Write([]byte(files[name]))
		require.NoError(t, err)
	}
	require.NoError(t, archive.Close())
	require.NoError(t, compressed.Close())
	return zipped.Bytes()
}

// serve serves a chart repository with both versions, and returns its address.
func serve(t *testing.T) string {
	t.Helper()
	archives := map[string][]byte{}
	index := "apiVersion: v1\nentries:\n  own:\n"
	for _, version := range []string{"1.0.0", "2.0.0"} {
		file := "own-" + version + ".tgz"
		archives["/charts/files/"+file] = archiveOf(t, chartFiles(version))
		sum := sha256.Sum256(archives["/charts/files/"+file])
		index += fmt.Sprintf("  - {name: own, version: %s, digest: %q, urls: [files/%s]}\n", version, hex.EncodeToString(sum[:]), file)
	}
	index += "  - {name: own, version: 3.0.0, digest: \"00\", urls: [files/own-2.0.0.tgz]}\n"
	archives["/charts/index.yaml"] = []byte(index)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		content, ok := archives[r.URL.Path]
		if !ok {
			http.NotFound(w, r)
			return
		}
		_, err := w.Write(content)
		assert.NoError(t, err)
	}))
	t.Cleanup(server.Close)
	return server.URL + "/charts"
}

func own(repository, version string, values map[string]any) rendered.Release {
	return rendered.Release{Name: "shop", Namespace: "shop", Chart: "own", Version: version, Repository: repository, Values: values}
}

// told returns changes as lines: what happens to which object, and how risky it is.
func told(changes []rendered.Change) []string {
	var lines []string
	for _, c := range changes {
		lines = append(lines, fmt.Sprintf("%s %s %s", c.Risk, c.Op, c.Title()))
	}
	return lines
}

func difference(t *testing.T, charts *rendered.Charts, before, after rendered.Release) []rendered.Change {
	t.Helper()
	was, err := charts.Render(t.Context(), before)
	require.NoError(t, err)
	is, err := charts.Render(t.Context(), after)
	require.NoError(t, err)
	return rendered.Compare(was, is, "")
}

func TestUnit_TwoVersionsOfAChartDifferInExactlyTheseObjects(t *testing.T) {
	t.Parallel()
	repository := serve(t)
	charts := &rendered.Charts{Kubernetes: "1.34"}
	changes := difference(t, charts, own(repository, "1.0.0", nil), own(repository, "2.0.0", nil))
	assert.Equal(t, []string{
		"risky delete PodDisruptionBudget shop",
		"risky update CustomResourceDefinition widgets.example.com",
		"risky update Service inner",
		"plain update Deployment shop",
		"plain update Job migrate",
		"plain create ConfigMap extra",
	}, told(changes))
	assert.Equal(t, []rendered.Field{{
		Path: "spec.template.spec.containers[web].image", Old: "registry.example.com/own:1.4.2", New: "registry.example.com/own:1.5.0",
	}}, changes[3].Fields)
	assert.Equal(t, []string{"clients no longer reach port 80"}, changes[2].Reasons)
	assert.Contains(t, changes[1].Reasons[0], "Helm reads the folder crds at the installation only")
}

func TestUnit_ValuesOfAReleaseDifferInExactlyTheseObjects(t *testing.T) {
	t.Parallel()
	repository := serve(t)
	charts := &rendered.Charts{Kubernetes: "1.34"}
	with := func(key string, value any) []rendered.Change {
		return difference(t, charts, own(repository, "1.0.0", nil), own(repository, "1.0.0", map[string]any{key: value}))
	}
	assert.Empty(t, with("replicas", 3.0))
	assert.Equal(t, []string{"risky update Deployment shop"}, told(with("replicas", 1.0)))
	assert.Equal(t, []string{"risky delete Service inner"}, told(with("inner", map[string]any{"enabled": false})))

	level := with("level", "debug")
	assert.Equal(t, []string{"plain update ConfigMap (random) 1"}, told(level), "in an object whose name is made by chance")
	assert.Equal(t, []rendered.Field{{Path: "data.file", Old: "level = info", New: "level = debug"}}, level[0].Fields,
		"but not the session")

	fixed := with("fixed", "loud-4711")
	assert.Equal(t, []string{"plain update Secret shop-chance"}, told(fixed))
	assert.Equal(t, []rendered.Field{{Path: "stringData.fixed", Old: "[secret]", New: "[secret]"}}, fixed[0].Fields)
	password := with("password", "hunter-4711")
	assert.Equal(t, "[withheld]", password[0].Fields[0].New)
	text, err := json.Marshal(append(fixed, password...))
	require.NoError(t, err)
	assert.NotContains(t, string(text), "4711")

	renders, err := charts.Render(t.Context(), own(repository, "1.0.0", nil))
	require.NoError(t, err)
	for _, o := range renders {
		if o.GetName() == "found" {
			assert.Equal(t, map[string]any{"found": "no"}, o.Object["data"], "lookup finds nothing")
		}
		assert.NotEqual(t, "asks", o.GetName(), "a test is no part of an update")
	}
}

func TestUnit_AValueThatIsKnownOnlyAfterTheUpdateIsNoDifference(t *testing.T) {
	t.Parallel()
	repository := serve(t)
	charts := &rendered.Charts{Kubernetes: "1.34"}
	was, err := charts.Render(t.Context(), own(repository, "1.0.0", map[string]any{"level": "debug"}))
	require.NoError(t, err)
	is, err := charts.Render(t.Context(), own(repository, "1.0.0", map[string]any{"password": "(later)", "level": "debug"}))
	require.NoError(t, err)
	assert.Empty(t, rendered.Compare(was, is, "(later)"))
	assert.Len(t, rendered.Compare(was, is, ""), 1)
}

func TestUnit_ChartsAreReadFromWhereverTheyAre(t *testing.T) {
	t.Parallel()
	repository := serve(t)
	folder := t.TempDir()
	files := chartFiles("1.0.0")
	for name, content := range files {
		require.NoError(t, os.MkdirAll(filepath.Dir(filepath.Join(folder, name)), 0o700))
		require.NoError(t, os.WriteFile(filepath.Join(folder, name), []byte(content), 0o600))
	}
	require.NoError(t, os.WriteFile(filepath.Join(folder, "own-1.0.0.tgz"), archiveOf(t, files), 0o600))

	server := httptest.NewServer(registry.New(registry.Logger(log.New(io.Discard, "", 0))))
	t.Cleanup(server.Close)
	host := strings.TrimPrefix(server.URL, "http://")
	image, err := mutate.AppendLayers(empty.Image,
		static.NewLayer(archiveOf(t, files), types.MediaType("application/vnd.cncf.helm.chart.content.v1.tar+gzip")))
	require.NoError(t, err)
	reference, err := name.NewTag(host + "/charts/own:1.0.0_build.1")
	require.NoError(t, err)
	require.NoError(t, remote.Write(reference, image))

	charts := &rendered.Charts{Kubernetes: "1.34"}
	wanted := own(repository, "1.0.0", nil)
	for place, r := range map[string]rendered.Release{
		"a range":            {Repository: repository + "/", Chart: "own", Version: ">=1.0.0 <2.0.0"},
		"an address":         {Chart: repository + "/files/own-1.0.0.tgz"},
		"a folder":           {Chart: "own", Folder: folder},
		"an absolute folder": {Chart: filepath.Join(folder, "own")},
		"an archive":         {Chart: "own-1.0.0.tgz", Folder: folder},
		"a registry":         {Chart: "oci://" + host + "/charts/own", Version: "1.0.0+build.1"},
		"a registry's part":  {Repository: "oci://" + host + "/charts", Chart: "own", Version: "1.0.0+build.1"},
	} {
		r.Name, r.Namespace = "shop", "shop"
		assert.Empty(t, difference(t, charts, wanted, r), place)
	}
}

func TestUnit_AChartThatCannotBeReadIsAnErrorOfItsOwn(t *testing.T) {
	t.Parallel()
	repository := serve(t)
	for why, r := range map[string]rendered.Release{
		"has no version 9.9.9 of the chart own": own(repository, "9.9.9", nil),
		"does not have the digest of the index": own(repository, "3.0.0", nil),
		"answers 404":                           own(repository+"/elsewhere", "1.0.0", nil),
		"connection refused":                    own("http://127.0.0.1:1", "1.0.0", nil),
		"no such file":                          {Chart: "own", Folder: t.TempDir()},
		"is no version of a chart":              own(repository, "one", nil),
		"unsupported protocol scheme":           {Chart: "ftp://127.0.0.1/own.tgz"},
		"a b/own":                               {Chart: "oci://a b/own", Version: "1.0.0"},
		"invalid character \" \" in host name":  own("http://a b", "1.0.0", nil),
		"127.0.0.1:1/v2":                        {Chart: "oci://127.0.0.1:1/charts/own", Version: "1.0.0+x.1"},
	} {
		_, err := (&rendered.Charts{}).Render(t.Context(), r)
		require.ErrorIs(t, err, rendered.ErrUnreadable, why)
		require.ErrorContains(t, err, why)
	}

	_, err := (&rendered.Charts{Kubernetes: "1.29.1"}).Render(t.Context(), own(repository, "1.0.0", nil))
	require.ErrorContains(t, err, "the chart is for Kubernetes >=1.30.0-0, and the cluster has v1.29.1")
	require.NotErrorIs(t, err, rendered.ErrUnreadable, "it was read")

	files := chartFiles("1.0.0")
	delete(files, "own/charts/inner/Chart.yaml")
	delete(files, "own/charts/inner/templates/service.yaml")
	folder := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(folder, "own.tgz"), archiveOf(t, files), 0o600))
	_, err = (&rendered.Charts{Kubernetes: "1.34"}).Render(t.Context(), rendered.Release{Chart: "own.tgz", Folder: folder})
	require.ErrorContains(t, err, "the chart own needs the chart inner")
}

// Reports must show what the engine and Argo CD will do.
func TestUnit_TheLibrariesAreThoseThatTheEngineAndTheApplicationUse(t *testing.T) {
	t.Parallel()
	versions := func(file string) map[string]string {
		text, err := os.ReadFile(filepath.Join("..", "..", file))
		require.NoError(t, err)
		mod, err := modfile.ParseLax(file, text, nil)
		require.NoError(t, err)
		found := map[string]string{}
		for _, required := range mod.Require {
			found[required.Mod.Path] = required.Mod.Version
		}
		return found
	}
	ours := versions("go.mod")
	for module, tool := range map[string]string{"helm.sh/helm/v3": "pulumi-resource-kubernetes", "sigs.k8s.io/kustomize/api": "kubernetes"} {
		require.NotEmpty(t, ours[module])
		assert.Equal(t, versions("tools/" + tool + "/go.mod")[module], ours[module], "%s in tools/%s", module, tool)
	}
}
