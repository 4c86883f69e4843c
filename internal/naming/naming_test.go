package naming_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gridos/sharedinfra/internal/naming"
)

func TestUnit_NamesAreTheDocuments(t *testing.T) {
	t.Parallel()
	names, err := naming.For("dev", "")
	require.NoError(t, err)
	assert.Equal(t, "dev-gridos-rg", names.ResourceGroup)
	assert.Equal(t, "dev-gridos-aks", names.Cluster)
	assert.Equal(t, "devgridosacr", names.Registry)
	assert.Equal(t, "dev-gridos-kv", names.Vault)
}

func TestUnit_SuffixGoesToGloballyUniqueNamesOnly(t *testing.T) {
	t.Parallel()
	names, err := naming.For("prod", "acme1")
	require.NoError(t, err)
	assert.Equal(t, "prodgridosacracme1", names.Registry)
	assert.Equal(t, "prod-gridos-kv-acme1", names.Vault)
	assert.Equal(t, "prod-gridos-pg-acme1", names.PostgresServer)
	assert.Equal(t, "prod-gridos-aks", names.Cluster)
}

func TestUnit_NamesThatAzureRefusesAreRefusedAllAtOnce(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		environment, suffix string
		want                []string
	}{
		"unknown environment": {"staging", "", []string{`stack "staging" is no environment`, "dev, test, prod"}},
		"vault too long":      {"dev", "elevenchars", []string{`"dev-gridos-kv-elevenchars" (25 characters)`, "key vault"}},
		"wrong characters": {"dev", "Acme_1", []string{
			`"devgridosacrAcme_1"`, "container registry", `"dev-gridos-pg-Acme_1"`, "PostgreSQL server", "key vault",
		}},
		"double hyphen": {"dev", "-x", []string{`"dev-gridos-kv--x"`}},
		"all too long":  {"dev", strings.Repeat("a", 60), []string{"registry", "key vault", "PostgreSQL"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := naming.For(test.environment, test.suffix)
			for _, want := range test.want {
				assert.ErrorContains(t, err, want)
			}
		})
	}
}
