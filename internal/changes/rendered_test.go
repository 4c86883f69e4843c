package changes_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/pulumi/pulumi/sdk/v3/go/common/apitype"
	"github.com/pulumi/pulumi/sdk/v3/go/common/resource/sig"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gridos/sharedinfra/internal/changes"
)

const (
	helmRelease = "kubernetes:helm.sh/v3:Release"
	application = "kubernetes:argoproj.io/v1alpha1:Application"
)

// write writes files into a folder.
func write(t *testing.T, folder string, files map[string]string) {
	t.Helper()
	for name, content := range files {
		file := filepath.Join(folder, filepath.FromSlash(name))
		require.NoError(t, os.MkdirAll(filepath.Dir(file), 0o700))
		require.NoError(t, os.WriteFile(file, []byte(content), 0o600))
	}
}

// chartOf writes a chart that keeps photos in its first version only, and returns its folder.
func chartOf(t *testing.T, version string) string {
	t.Helper()
	folder := filepath.Join(t.TempDir(), "shop")
	files := map[string]string{
		"Chart.yaml": "apiVersion: v2\nname: shop\nversion: " + version + "\n",
		"templates/deployment.yaml": `
apiVersion: apps/v1
kind: Deployment
metadata: {name: shop}
spec:
  replicas: {{ .Values.replicas }}
  selector: {matchLabels: {app: shop}}
  template:
    metadata: {labels: {app: shop}}
    spec: {containers: [{name: shop, image: "registry.example.com/shop:` + version + `"}]}
---
apiVersion: v1
kind: Secret
metadata: {name: login}
stringData: {password: {{ .Values.password | quote }}, user: {{ .Values.user }}}
`,
	}
	if version == "1.0.0" {
		files["templates/claim.yaml"] = "apiVersion: v1\nkind: PersistentVolumeClaim\nmetadata: {name: photos}\n"
	}
	write(t, folder, files)
	return folder
}

func releaseOf(chart, version string, replicas float64, user string) map[string]any {
	return map[string]any{
		"name": "shop", "namespace": "shop", "chart": chart, "version": version,
		"values": map[string]any{
			"replicas": replicas, "user": user, "password": map[string]any{sig.Key: sig.Secret, "ciphertext": "hunter-4711"},
		},
	}
}

// checkouts are two, whose overlays of dev differ in a budget.
func checkouts(t *testing.T) changes.Sides {
	t.Helper()
	sides := changes.Sides{Before: t.TempDir(), After: t.TempDir()}
	budget := "apiVersion: policy/v1\nkind: PodDisruptionBudget\nmetadata: {name: gridos}\nspec: {maxUnavailable: %d}\n"
	for i, checkout := range []string{sides.Before, sides.After} {
		write(t, checkout, map[string]string{
			"applications/gridos/overlays/dev/kustomization.yaml": "resources: [budget.yaml]\n",
			"applications/gridos/overlays/dev/budget.yaml":        fmt.Sprintf(budget, i+1),
			"applications/gridos/overlays/prod/none.yaml":         fmt.Sprintf("%d\n", i),
		})
	}
	return sides
}

// shop is a report of an environment whose shop gets another chart.
func shop(t *testing.T, sides changes.Sides) changes.Report {
	t.Helper()
	differs := map[string]apitype.PropertyDiff{"values.replicas": {Kind: apitype.DiffUpdate, InputDiff: true}}
	before := releaseOf(chartOf(t, "1.0.0"), "1.0.0", 4, "alice-4711")
	after := releaseOf(chartOf(t, "2.0.0"), "2.0.0", 2, "bob-4711")
	r := changes.Report{Environment: "dev", Base: "main (abc1234)", Projects: []changes.Project{
		collected(nil, step(apitype.OpUpdate, helmRelease, "shop", before, after, differs)),
	}}
	require.NoError(t, r.Render(t.Context(), sides))
	return r
}

func TestUnit_ReportsTellWhatChangesInTheCluster(t *testing.T) {
	t.Parallel()
	report := shop(t, checkouts(t))
	var markdown, plain bytes.Buffer
	require.NoError(t, changes.WriteMarkdown(&markdown, []changes.Report{report}))
	require.NoError(t, report.WriteText(&plain, false))
	for name, got := range map[string][]byte{"rendered.md": markdown.Bytes(), "rendered.txt": plain.Bytes()} {
		matchFile(t, name, got)
	}
	checkShape(t, markdown.Bytes(), report)

	text, err := json.Marshal(report)
	require.NoError(t, err)
	assert.NotContains(t, string(text), "4711", "a value of a Secret, or one that Pulumi knows as a secret")
	var read changes.Report
	require.NoError(t, json.Unmarshal(text, &read))
	require.NoError(t, read.Validate())
	assert.Equal(t, report.Consents(), read.Consents(), "the guard reads the JSON")
}

// The deployment needs no consent to what it does not know: an object that a chart no longer has.
func TestUnit_WhatIsLostInTheClusterNeedsAConsentOfItsOwn(t *testing.T) {
	t.Parallel()
	report := shop(t, changes.Sides{})
	require.Len(t, report.All(), 1)
	assert.Equal(t, changes.Risky, report.All()[0].Level)
	assert.Contains(t, report.All()[0].Reasons, "of the objects in the cluster that it changes, 1 dangerous, 1 risky")
	require.Len(t, report.Dangerous(), 1)
	assert.Equal(t, "photos", report.Dangerous()[0].Name)
	assert.Empty(t, report.Dangers())
	assert.Empty(t, report.Consent())
	require.Len(t, report.Consents(), 1)
	assert.Regexp(t, `^dev-[0-9a-f]{20}$`, report.Consents()[0])

	other := shop(t, changes.Sides{})
	other.Rendered[0].Objects[0].Name = "letters"
	assert.NotEqual(t, report.Consents(), other.Consents(), "the consent to one loss is none to another")
	other.Environment = "prod"
	assert.NotEqual(t, report.Consents(), other.Consents())
}

// The chart of neither side is there: only what differs is read.
func TestUnit_WhatDoesNotDifferIsNotRendered(t *testing.T) {
	t.Parallel()
	same := releaseOf("/nowhere/shop", "1.0.0", 2, "alice")
	sides := checkouts(t)
	sides.After = sides.Before
	r := changes.Report{Environment: "dev", Projects: []changes.Project{
		collected(nil, step(apitype.OpSame, helmRelease, "shop", same, same, nil)),
	}}
	require.NoError(t, r.Render(t.Context(), sides))
	assert.Empty(t, r.Rendered)
	assert.Equal(t, "No change.", r.Verdict())
}

func TestUnit_AnOverlayAloneIsAChangeInTheCluster(t *testing.T) {
	t.Parallel()
	r := changes.Report{Environment: "dev", Projects: []changes.Project{collected(nil)}}
	require.NoError(t, r.Render(t.Context(), checkouts(t)))
	assert.Equal(t, "No change. 1 object in the cluster differs, 1 risky.", r.Verdict())
	assert.Equal(t, 1, r.Objects())

	sides := checkouts(t)
	write(t, sides.After, map[string]string{"applications/gridos/overlays/dev/budget.yaml": "kind: [\n"})
	broken := changes.Report{Environment: "dev", Projects: []changes.Project{collected(nil)}}
	require.NoError(t, broken.Render(t.Context(), sides))
	require.Len(t, broken.Rendered, 1)
	assert.Contains(t, broken.Rendered[0].Note, "Its objects are not compared: render applications/gridos/overlays/dev: ")
}

func TestUnit_AChartThatCannotBeReadIsToldInOneSentence(t *testing.T) {
	t.Parallel()
	inputs := func(version string) map[string]any {
		return map[string]any{
			"metadata": map[string]any{"name": "prometheus"},
			"spec": map[string]any{
				"source":      map[string]any{"repoURL": "127.0.0.1:1/charts", "chart": "prometheus", "targetRevision": version},
				"destination": map[string]any{"namespace": "monitoring"},
			},
		}
	}
	there := releaseOf(chartOf(t, "1.0.0"), "1.0.0", 2, "a")
	secret := map[string]any{
		"name": "shop", "namespace": "shop", "chart": "shop", "version": "1.0.0",
		"values": map[string]any{sig.Key: sig.Secret, "ciphertext": "x"},
	}
	r := changes.Report{Environment: "dev", Projects: []changes.Project{collected(nil,
		step(apitype.OpUpdate, application, "prometheus", inputs("1.0.0"), inputs("1.1.0"), nil),
		step(apitype.OpUpdate, helmRelease, "kept", there, releaseOf("gone", "2.0.0", 2, "a"), nil),
		step(apitype.OpUpdate, helmRelease, "hidden", there, secret, nil),
	)}}
	require.NoError(t, r.Render(t.Context(), changes.Sides{After: "/nowhere"}))
	notes := map[string]string{}
	for _, rendering := range r.Rendered {
		assert.Empty(t, rendering.Objects)
		assert.NotContains(t, rendering.Note, "\n")
		notes[rendering.URN[strings.LastIndex(rendering.URN, ":")+1:]] = rendering.Note
	}
	require.Len(t, notes, 3)
	assert.Contains(t, notes["prometheus"], "Its objects are not compared: prometheus 1.0.0: the chart cannot be read: ")
	assert.Contains(t, notes["kept"], "/nowhere/bootstrap/gone: no such file or directory.")
	assert.Contains(t, notes["hidden"], "its values are known only after the update, or secret as a whole.")
	var text bytes.Buffer
	require.NoError(t, r.WriteText(&text, false))
	assert.Contains(t, text.String(), "application prometheus: Its objects are not compared")
}

func TestUnit_TheChartOfOneFolderHasOneVersion(t *testing.T) {
	t.Parallel()
	chart := chartOf(t, "1.0.0")
	r := changes.Report{Environment: "dev", Projects: []changes.Project{collected(nil,
		step(apitype.OpUpdate, helmRelease, "shop", releaseOf(chart, "1.0.0", 2, "a"), releaseOf(chart, "2.0.0", 3, "a"), nil),
	)}}
	require.NoError(t, r.Render(t.Context(), changes.Sides{}))
	require.Len(t, r.Rendered, 1)
	assert.Contains(t, r.Rendered[0].Note, "only the values are compared")
	require.Len(t, r.Rendered[0].Objects, 1)
	assert.Equal(t, "Deployment shop", r.Rendered[0].Objects[0].Title())
}

func TestUnit_ARenderingThatNoReportHasIsRefused(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		`{"kind":"release","name":"a","objects":[{"op":"explode","risk":"plain"}]}`: `"a" has an object with op "explode" and risk "plain"`,
		`{"kind":"release","name":"a","objects":[{"op":"create","risk":"none"}]}`:   `"a" has an object with op "create" and risk "none"`,
		`{"kind":"rumour","name":"a"}`:                                              `"a" is rendered from a "rumour"`,
	} {
		var r changes.Report
		require.NoError(t, json.Unmarshal([]byte(`{"environment":"dev","projects":[{"name":"p"}],"rendered":[`+text+`]}`), &r))
		require.EqualError(t, r.Validate(), want)
	}
}

func TestUnit_OnlyWhatDiffersInTheClusterIsShown(t *testing.T) {
	t.Parallel()
	report := shop(t, changes.Sides{})
	report.Rendered = append(report.Rendered, changes.Rendering{Kind: "release", Name: "quiet"})
	var markdown strings.Builder
	require.NoError(t, changes.WriteMarkdown(&markdown, []changes.Report{report}))
	assert.Contains(t, markdown.String(), "\n  release shop")
	assert.NotContains(t, markdown.String(), "\n  release quiet")
}
