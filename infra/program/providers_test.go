package program_test

import (
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gridos/sharedinfra/infra/program"
	"github.com/gridos/sharedinfra/internal/naming"
)

func TestUnit_NamespacesAreThoseOfWhatIsRegistered(t *testing.T) {
	t.Parallel()
	always := []string{"authorization", "resources"}
	var known []string
	for _, namespace := range program.Namespaces() {
		known = append(known, strings.ToLower(strings.TrimPrefix(namespace, "Microsoft.")))
	}
	for _, environment := range naming.Environments() {
		recorded, err := run(environment, nil)
		require.NoError(t, err)
		seen := 0
		for _, r := range recorded.Resources {
			module, ok := strings.CutPrefix(r.Type, "azure-native:")
			if !ok {
				continue
			}
			seen++
			module, _, _ = strings.Cut(module, "/")
			assert.True(t, slices.Contains(known, module) || slices.Contains(always, module),
				"%s registers %s, whose resource provider Namespaces does not have", environment, r.Type)
		}
		assert.NotZero(t, seen)
	}
}

func TestUnit_TheSetupRegistersTheNamespaces(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../../docs/INFRA_PIPELINE_SETUP.md")
	require.NoError(t, err)
	found := regexp.MustCompile(`for namespace in ([A-Za-z ]+); do`).FindSubmatch(text)
	require.NotNil(t, found)
	var want []string
	for _, namespace := range program.Namespaces() {
		want = append(want, strings.TrimPrefix(namespace, "Microsoft."))
	}
	assert.Equal(t, want, strings.Fields(string(found[1])))
}
