package manifests

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"sigs.k8s.io/yaml"
)

// FuzzOverlay: every output of Kustomize is read as its objects, which are the same after they are
// written and read again. Each problem with them has a file and a field.
func FuzzOverlay(f *testing.F) {
	base, err := os.ReadFile("testdata/base.yaml")
	require.NoError(f, err)
	f.Add(base)
	files, err := filepath.Glob(app + "/*/*.yaml")
	require.NoError(f, err)
	require.NotEmpty(f, files)
	for _, file := range files {
		text, err := os.ReadFile(file)
		require.NoError(f, err)
		f.Add(text)
	}
	for _, text := range []string{
		"", "---\n---\n", "# nothing\n", "null", "[]", "a", "kind: [x]", "kind: Rollout\nspec: {strategy: {canary: {steps: [{analysis: null}, null]}}}",
		"kind: Rollout\nmetadata: {name: a, annotations: {config.kubernetes.io/origin: \"path: base/a.yaml\\n\"}}\nspec: {selector: null}",
		"kind: Service\nmetadata: {annotations: {config.kubernetes.io/origin: '['}}",
		"kind: Service\nspec: {ports: [{port: 1e9, targetPort: x}], selector: {a: b}}",
		"kind: NetworkPolicy\nspec: {podSelector: {matchExpressions: [{key: '!', operator: In}]}, ingress: [{ports: [{port: null}]}]}",
		"kind: HorizontalPodAutoscaler\nspec: {minReplicas: -1, maxReplicas: 0, scaleTargetRef: {kind: Rollout}}",
		"kind: PodDisruptionBudget\nspec: {maxUnavailable: 10%, selector: {matchLabels: {a: b}}}",
		"kind: AnalysisTemplate\nspec: {args: [{name: a, value: null}], metrics: [{x: '{{args.b}}'}]}",
	} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, rendered []byte) {
		objects, err := decode(rendered, "../gridos/")
		if err != nil {
			return // Kustomize has printed something that is no manifest
		}
		var written []byte
		for _, o := range objects {
			assert.NotContains(t, o.GetAnnotations(), originAnnotation, "what was asked for is not synced")
			text, err := yaml.Marshal(o.Object)
			require.NoError(t, err)
			written = append(append(written, "---\n"...), text...)
		}
		again, err := decode(written, "../gridos/")
		require.NoError(t, err)
		require.Len(t, again, len(objects))
		for i, o := range again {
			assert.Equal(t, objects[i].Object, o.Object)
		}

		problems := Check(objects)
		if problems == nil {
			return
		}
		joined, ok := problems.(interface{ Unwrap() []error })
		require.True(t, ok)
		for _, one := range joined.Unwrap() {
			var problem Problem
			require.ErrorAs(t, one, &problem)
			assert.NotEmpty(t, problem.Field)
			assert.NotEmpty(t, problem.Why)
		}
		require.EqualError(t, Check(objects), problems.Error(), "the same manifests have the same problems")
	})
}
