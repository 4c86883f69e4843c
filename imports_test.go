package main

import (
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// The direct and indirect imports of each program decide the bootstrap boundary, and the time of a
// cold build.
func TestUnit_ProgramsImportOnlyWhatTheirSideOfTheBoundaryNeeds(t *testing.T) {
	t.Parallel()
	const (
		azure      = "github.com/pulumi/pulumi-azure-native-sdk/"
		kubernetes = "github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes"
		helm       = kubernetes + "/helm"
	)
	for program, forbidden := range map[string][]string{
		"./infra":     {kubernetes},
		"./bootstrap": {azure, helm},
		"./apps":      {azure, helm},
		".":           {azure, kubernetes, "github.com/pulumi/pulumi-random/"},
		"./policy":    {azure, kubernetes}, // every program imports it
	} {
		output, err := exec.CommandContext(t.Context(), "go", "list", "-deps", program).Output()
		require.NoError(t, err)
		dependencies := strings.Fields(string(output))
		require.Greater(t, len(dependencies), 100, program)
		for _, dependency := range dependencies {
			for _, prefix := range append(forbidden, "github.com/gridos/sharedinfra/lab") {
				assert.False(t, strings.HasPrefix(dependency, prefix), "%s imports %s", program, dependency)
			}
			if strings.HasPrefix(dependency, kubernetes) {
				// The provider alone: objects are registered with internal/object.
				assert.Contains(t, []string{"", "/utilities"}, strings.TrimPrefix(dependency, kubernetes), "%s imports %s", program, dependency)
			}
		}
	}
}

// The simulated Azure can judge the programs because it shares no code with them. Its resource
// manager knows no service, so that what holds for all resource types is written once.
func TestUnit_TheSimulatedAzureImportsNothingOfThePrograms(t *testing.T) {
	t.Parallel()
	const (
		module   = "github.com/gridos/sharedinfra/"
		azure    = module + "lab/internal/azure"
		arm      = azure + "/arm"
		services = azure + "/services"
		schema   = azure + "/schema"
	)
	ours := func(room, format string) []string {
		output, err := exec.CommandContext(t.Context(), "go", "list", "-f", format, room).Output()
		require.NoError(t, err)
		return slices.DeleteFunc(strings.Fields(string(output)), func(name string) bool { return !strings.HasPrefix(name, module) })
	}
	for room, allowed := range map[string][]string{
		arm:      {module + "lab/internal/providers", module + "lab/internal/host/atomicfile"},
		schema:   {arm},
		services: {arm, schema},
		azure:    {arm, services},
	} {
		assert.ElementsMatch(t, allowed, ours(room, `{{join .Imports "\n"}}`), room)
		for _, dependency := range ours(room, `{{join .Deps "\n"}}`) {
			assert.True(t, strings.HasPrefix(dependency, module+"lab/internal/"), "%s imports %s", room, dependency)
		}
	}
}

// The lab's rooms are ordered, from the machine that it runs on up to the command lines: a room
// uses only those on lower floors.
func TestUnit_InTheLabNoImportRunsBackUp(t *testing.T) {
	t.Parallel()
	const lab = "github.com/gridos/sharedinfra/lab"
	floors := [][]string{
		{"host"},
		{"providers"},
		{"azure", "cluster", "offline"},
		{"engine", "delivery"},
		{"daemon", "scenario"},
		{"world"},
		{"command"},
		{"", "bench", "proofs", "mutants", "flow", "approved"},
	}
	floor := map[string]int{}
	for i, rooms := range floors {
		for _, room := range rooms {
			floor[room] = i
		}
	}
	roomOf := func(path string) string {
		inside := strings.TrimPrefix(strings.TrimPrefix(path, lab), "/")
		room, _, _ := strings.Cut(strings.TrimPrefix(inside, "internal/"), "/")
		_, known := floor[room]
		assert.True(t, known, "%s is in no room of this test; lab/internal has nothing but the rooms", path)
		return room
	}
	output, err := exec.CommandContext(t.Context(), "go", "list", "-f", "{{.ImportPath}} {{join .Imports \" \"}}", "./lab/...").Output()
	require.NoError(t, err)
	arrows := 0
	for line := range strings.Lines(string(output)) {
		packages := strings.Fields(line)
		from := roomOf(packages[0])
		for _, imported := range packages[1:] {
			if imported != lab && !strings.HasPrefix(imported, lab+"/") {
				continue
			}
			to := roomOf(imported)
			assert.True(t, from == to || floor[from] > floor[to], "%s imports %s", packages[0], imported)
			arrows++
		}
	}
	require.Greater(t, arrows, 100)
}

// The lab opens the state of the simulated Azure, and makes clients and files, in one place each.
func TestUnit_TheLabHasOneDoorToEach(t *testing.T) {
	t.Parallel()
	doors := map[*regexp.Regexp][]string{
		// The process that serves the simulated Azure, and the copy that lab diff plans with.
		regexp.MustCompile(`azure\.Open\([^)]*StateFile|StateFile:`): {
			"lab/internal/daemon/serve.go", "lab/internal/world/comparison.go", "lab/internal/azure/azure.go",
		},
		regexp.MustCompile(`NewForConfig\(|RESTConfigFromKubeConfig|BuildConfigFromFlags`): {"lab/internal/host/kube/kube.go"},
		regexp.MustCompile(`\.unfinished"`): {
			"lab/internal/host/atomicfile/atomicfile.go", "lab/internal/world/charts.go", // a folder
		},
	}
	used := map[string]bool{}
	require.NoError(t, filepath.WalkDir("lab", func(path string, _ fs.DirEntry, err error) error {
		if err != nil || filepath.Ext(path) != ".go" || strings.HasSuffix(path, "_test.go") {
			return err
		}
		text, err := os.ReadFile(path)
		for door, files := range doors {
			if found := door.Find(text); found != nil {
				assert.Contains(t, files, path, "%s is for %v", found, files)
				used[path] = true
			}
		}
		return err
	}))
	assert.Len(t, used, 6, "a file that no longer needs a door loses its key")
}
