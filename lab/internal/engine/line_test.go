package engine

import (
	"path/filepath"
	"testing"

	"github.com/pulumi/pulumi/sdk/v3/go/common/workspace"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gridos/sharedinfra/config"
	"github.com/gridos/sharedinfra/config/projectfile"
	"github.com/gridos/sharedinfra/naming"
)

const repository = "../../.."

// A key that is declared and never read, or read and never declared, is a mistake of ours; so is a declaration without a
// type, a description or a default.
func TestUnit_DeclaredKeysAreTheKeysThatProgramsRead(t *testing.T) {
	t.Parallel()
	for _, p := range line() {
		dir := filepath.Join(repository, p.Directory)
		project, err := projectfile.Project(dir)
		require.NoError(t, err)
		declared := map[string]workspace.ProjectConfigType{}
		for key, declaration := range project.Config {
			if declaration.IsExplicitlyTyped() {
				declared[key] = declaration
				assert.NotEmpty(t, declaration.Description, "%s:%s", p.Name, key)
				assert.NotNil(t, declaration.Default, "%s:%s has no default", p.Name, key)
			}
		}
		for _, environment := range naming.Environments() {
			values, err := projectfile.Config(t.Context(), dir, environment)
			require.NoError(t, err)
			r := config.FromMap(p.Name, environment, values)
			require.NoError(t, p.check(r, environment))
			read := r.Keys()
			assert.Len(t, read, len(declared), p.Name)
			for _, key := range read {
				assert.Contains(t, declared, key, p.Name)
			}
		}
	}
}

func TestUnit_SummariesSayWhatHappened(t *testing.T) {
	t.Parallel()
	assert.Equal(t, "no change", Result{Changes: map[string]int{"same": 40, "read": 2, "discard": 1}}.Summary())
	assert.Equal(t, "2 created, 1 replaced, 3 deleted",
		Result{Changes: map[string]int{"create": 2, "same": 7, "replace": 1, "delete": 3}}.Summary())
}
