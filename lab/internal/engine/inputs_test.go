package engine

import (
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"

	"github.com/gridos/sharedinfra/internal/config"
	"github.com/gridos/sharedinfra/internal/config/projectfile"
	"github.com/gridos/sharedinfra/lab/internal/host/site"
	"github.com/gridos/sharedinfra/stacks"
)

// input is a row of the table of values for a stack's file.
type input struct{ Key, Written, Beside, Arrives, Refused string }

const anyKey = "gridos-infra:key"

// part returns the project that reads the key, and the file with the key. A row without a key is
// read as a key that takes any text.
func (i input) part(t *testing.T) (p part, file string) {
	t.Helper()
	if i.Key == "" {
		i.Key = anyKey
		return part{Project: stacks.Infra, check: func(r *config.Reader, _ string) error {
			r.String("key", "the default")
			return r.Err()
		}}, i.lines(nil)
	}
	for _, candidate := range line() {
		if strings.HasPrefix(i.Key, candidate.Name+":") || !strings.Contains(i.Key, ":") && candidate.Project == stacks.Infra {
			p = candidate
		}
	}
	require.NotEmpty(t, p.Name, i.Key)
	shipped, err := projectfile.Read(projectfile.StackFile(filepath.Join("../../..", p.Directory), "dev"))
	require.NoError(t, err)
	values, ok := shipped["config"].(map[string]any)
	require.True(t, ok)
	maps.DeleteFunc(values, func(key string, _ any) bool { return key == i.Key })
	if len(values) == 0 {
		return p, i.lines(nil)
	}
	text, err := yaml.Marshal(values)
	require.NoError(t, err)
	return p, i.lines(text)
}

// lines returns the lines of a stack's file with the row added.
func (i input) lines(there []byte) string {
	var file strings.Builder
	file.WriteString("config:\n")
	for line := range strings.Lines(string(there)) {
		file.WriteString("  " + line)
	}
	file.WriteString("  " + i.Key + ": " + i.Written + "\n")
	if i.Beside != "" {
		file.WriteString("  " + i.Beside + "\n")
	}
	return file.String()
}

// A value arrives as it is written, or is refused. The CLI, the lab, and the CLI with the lab's
// variables agree.
func TestUnit_WhatIsWrittenArrivesOrIsRefused(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../../../internal/config/projectfile/testdata/written.yaml")
	require.NoError(t, err)
	var rows []input
	require.NoError(t, yaml.Unmarshal(text, &rows))
	for _, row := range rows {
		t.Run(row.Key+"="+row.Written+row.Beside, func(t *testing.T) {
			t.Parallel()
			p, file := row.part(t)
			repository := t.TempDir()
			s := site.Site{Repository: repository, Environment: "dev", Dir: filepath.Join(repository, ".lab", "dev")}
			source := s.ProjectDir(p.Directory)
			declare(t, source, p.Name)
			require.NoError(t, os.WriteFile(projectfile.StackFile(source, "dev"), []byte(file), 0o600))
			written, err := projectfile.Config(t.Context(), source, "dev")
			if err == nil {
				err = p.check(config.FromMap(p.Name, "dev", written), "dev")
			}
			if row.Refused != "" {
				require.ErrorContains(t, err, row.Refused) // the lab makes the same check before it copies
				return
			}
			require.NoError(t, err)
			key := row.Key
			if key == "" {
				key = anyKey
			}
			assert.Equal(t, row.Arrives, written[key])

			_, err = copyFiles(s, p.Project, nil)
			require.NoError(t, err)
			copied, err := projectfile.Config(t.Context(), s.WorkDir(p.Name), "dev")
			require.NoError(t, err)
			assert.Equal(t, written, copied, "the lab's copy")
			require.NoError(t, joinCopies(s))
			declare(t, s.Dir, p.Name)
			joined, err := projectfile.Config(t.Context(), s.Dir, "dev")
			require.NoError(t, err)
			assert.Equal(t, written, joined, "the file for the plain CLI")
		})
	}
}

// declare writes a project's declaration into a folder.
func declare(t *testing.T, dir, project string) {
	t.Helper()
	require.NoError(t, os.MkdirAll(dir, 0o700))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "Pulumi.yaml"), []byte("name: "+project+"\nruntime: go\n"), 0o600))
}
