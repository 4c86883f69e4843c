package contract_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gridos/sharedinfra/stacks"
	"github.com/gridos/sharedinfra/stacks/contract"
)

const root = "../.."

// shipped is the contract and the registry of the repository.
func shipped(t *testing.T) contract.At {
	t.Helper()
	at, err := contract.Read(root)
	require.NoError(t, err)
	return at
}

// changed returns a copy of the contract after an edit of its outputs.
func changed(t *testing.T, at contract.At, edit func(*contract.Contract)) contract.At {
	t.Helper()
	text, err := json.Marshal(at.Contract)
	require.NoError(t, err)
	after := contract.At{Consumers: at.Consumers}
	require.NoError(t, json.Unmarshal(text, &after.Contract))
	edit(&after.Contract)
	return after
}

func TestUnit_TheRegistryHasOnlyConsumersOfOutputsThatExist(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile(filepath.Join(root, contract.ConsumersFile))
	require.NoError(t, err)
	consumers, err := contract.Consumers(text, shipped(t).Contract)
	require.NoError(t, err)
	assert.NotEmpty(t, consumers)
}

// An entry of this repository lists what the reference consumer reads, no more and no less.
func TestUnit_TheReferenceConsumersReadWhatTheyRegistered(t *testing.T) {
	t.Parallel()
	keys := map[string]string{} // by the name that a language has for an output
	for _, key := range shipped(t).Contract.Keys() {
		keys[strings.ToLower(key)] = key
	}
	seen := 0
	for _, consumer := range shipped(t).Consumers {
		reference, ok := map[string]struct{ file, reads string }{
			"reports-go":         {"golang/reports.go", `gridos\.([A-Z]\w+)`},
			"reports-python":     {"python/reports.py", `gridos\.([a-z_]+)`},
			"reports-typescript": {"typescript/index.ts", `gridos\.([a-z]\w+)(?:[^\w(]|$)`},
			"reports-yaml":       {"yaml/Pulumi.yaml", `gridos\.outputs\["(\w+)"]`},
		}[consumer.Project]
		if !ok {
			continue
		}
		seen++
		program, err := os.ReadFile(filepath.Join(root, "stacks", "readers", reference.file))
		require.NoError(t, err)
		var reads []string
		for _, found := range regexp.MustCompile(reference.reads).FindAllStringSubmatch(string(program), -1) {
			key, known := keys[strings.ToLower(strings.ReplaceAll(found[1], "_", ""))]
			assert.True(t, known, "%s reads %s, which is not in the contract", reference.file, found[1])
			reads = append(reads, key)
		}
		assert.ElementsMatch(t, consumer.Outputs, reads, reference.file)
	}
	assert.Equal(t, 4, seen)
}

func TestUnit_EveryMistakeInTheRegistryIsReportedAtOnce(t *testing.T) {
	t.Parallel()
	_, err := contract.Consumers([]byte(`consumers:
  - repository: https://github.com/a/b
    project: reports
    language: typescrpt
    contact: "@a/b"
    versions: [1, 1, 4]
    outputs: [databaseHots, location, location]
  - repository: a/b
    projekt: reports
    language: go
    versions: [2]
    outputs: []
  - repository: https://github.com/a/b
    project: reports
    language: go
    contact: "@a/b"
    contact: "@c/d"
    versions: [one]
    outputs:
      - xyzzy
      - {a: b}
  - nothing
owner: me
`), shipped(t).Contract)
	require.Error(t, err)
	assert.Equal(t, strings.Split(`stacks/consumers.yaml:4: there is no language "typescrpt"; did you mean typescript?; it is one of csharp, go, java, python, shell, typescript, yaml
stacks/consumers.yaml:6: version 1 is there twice
stacks/consumers.yaml:6: version 4 of the contract is far off: it has version 1 now
stacks/consumers.yaml:7: output "location" is there twice
stacks/consumers.yaml:7: there is no output "databaseHots"; did you mean databaseHost?
stacks/consumers.yaml:8: a consumer needs a project
stacks/consumers.yaml:8: a consumer needs a contact
stacks/consumers.yaml:8: "a/b" is no address; write the repository's, such as https://github.com/owner/name
stacks/consumers.yaml:8: a consumer needs a list outputs with one entry at least
stacks/consumers.yaml:9: there is no key "projekt"; did you mean project?
stacks/consumers.yaml:11: the program does not read version 1, the one that is published
stacks/consumers.yaml:13: reports of https://github.com/a/b is there twice; make one entry of both
stacks/consumers.yaml:17: key "contact" is there twice
stacks/consumers.yaml:18: "one" is no version of the contract, such as 1
stacks/consumers.yaml:20: there is no output "xyzzy"; remove it
stacks/consumers.yaml:21: an output is a name, such as databaseHost
stacks/consumers.yaml:22: a consumer has keys: repository, project, language, contact, versions, outputs
stacks/consumers.yaml:23: there is no key "owner"; remove it`, "\n"), strings.Split(err.Error(), "\n"))
}

func TestUnit_ARegistryThatIsNoneIsRefused(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"": "has no list consumers", "[]": "the file has keys: consumers", "consumers:": "consumers is no list",
		"consumers: {a: b}": "consumers is no list", "consumer: []": `there is no key "consumer"; did you mean consumers?`, "a: [": "is no YAML",
	} {
		_, err := contract.Consumers([]byte(text), contract.Contract{})
		require.ErrorContains(t, err, want, text)
	}
	consumers, err := contract.Consumers([]byte("consumers: []"), contract.Contract{})
	require.NoError(t, err)
	assert.Empty(t, consumers)
}

// mutants are the contract with one output of one project removed, renamed, of another type, or
// secret where it was not and the reverse.
func mutants(t *testing.T, at contract.At) (all map[string]contract.At, of map[string][2]string) {
	t.Helper()
	all, of = map[string]contract.At{}, map[string][2]string{}
	for project, outputs := range at.Contract.Projects {
		for key, output := range outputs {
			for name, edit := range map[string]func(map[string]contract.Output){
				"remove":     func(outputs map[string]contract.Output) { delete(outputs, key) },
				"rename":     func(outputs map[string]contract.Output) { delete(outputs, key); outputs[key+"Name"] = output },
				"rename all": func(outputs map[string]contract.Output) { delete(outputs, key); outputs["somethingElse"] = output },
				"capital": func(outputs map[string]contract.Output) {
					delete(outputs, key)
					outputs[string(unicode.ToUpper(rune(key[0])))+key[1:]] = output
				},
				"to a list": func(outputs map[string]contract.Output) {
					outputs[key] = contract.Output{Type: "[]" + output.Type, Secret: output.Secret}
				},
				"to a number": func(outputs map[string]contract.Output) {
					outputs[key] = contract.Output{Type: "float64", Secret: output.Secret}
				},
				"to a switch": func(outputs map[string]contract.Output) {
					outputs[key] = contract.Output{Type: "bool", Secret: output.Secret}
				},
				"secret": func(outputs map[string]contract.Output) {
					outputs[key] = contract.Output{Type: output.Type, Secret: !output.Secret}
				},
			} {
				id := fmt.Sprintf("%s.%s: %s", project, key, name)
				all[id] = changed(t, at, func(c *contract.Contract) { edit(c.Projects[project]) })
				of[id] = [2]string{project, key}
			}
		}
	}
	return all, of
}

// Every change that breaks readers is refused, and names those that are registered with the output.
func TestUnit_EveryMutantOfTheContractIsRefusedWithItsConsumers(t *testing.T) {
	t.Parallel()
	at := shipped(t)
	for i, key := range at.Contract.Keys() { // a consumer of each output, and one of two
		outputs := []string{key}
		if i > 0 {
			outputs = append(outputs, at.Contract.Keys()[i-1])
		}
		at.Consumers = append(at.Consumers, contract.Consumer{
			Repository: "https://example.com/" + key, Project: "of-" + key, Language: "go", Contact: "c", Versions: []int{1}, Outputs: outputs,
		})
	}
	all, of := mutants(t, at)
	require.Len(t, all, 8*57, "eight of each output")
	named := 0
	for id, mutant := range all {
		for _, after := range []contract.At{mutant, {Contract: mutant.Contract}} { // the change may remove the entries, too
			change := contract.Compare(at, after)
			require.NotNil(t, change, id)
			refused := change.Refused()
			require.Len(t, refused, 1, id)
			assert.Equal(t, [2]string{refused[0].Project, refused[0].Output}, of[id], id)
			var want []string
			for _, c := range at.Consumers {
				if of[id][0] == stacks.Published.Name && slices.Contains(c.Outputs, of[id][1]) {
					want = append(want, c.String())
				}
			}
			slices.Sort(want)
			assert.Equal(t, want, refused[0].Consumers, id)
			named += len(want)
		}
	}
	assert.Greater(t, named, 500)
	t.Logf("%d mutants, all refused, with %d names of consumers", len(all), named/2)

	added := 0
	for project := range at.Contract.Projects {
		for _, output := range []contract.Output{{Type: "string"}, {Type: "[]string"}, {Type: "int"}, {Type: "string", Secret: true}} {
			change := contract.Compare(at, changed(t, at, func(c *contract.Contract) { c.Projects[project]["another"] = output }))
			require.NotNil(t, change)
			assert.Equal(t, []string{project + ".another"}, change.Added)
			assert.Empty(t, change.Breaks)
			assert.Empty(t, change.Refused())
			added++
		}
	}
	change := contract.Compare(at, changed(t, at, func(c *contract.Contract) {
		c.Projects["gridos-new"] = maps.Clone(c.Projects["gridos-apps"])
	}))
	assert.Empty(t, change.Refused(), "a project more")
	assert.Nil(t, contract.Compare(at, at))
	assert.Nil(t, contract.Compare(contract.At{}, at), "the commit is older than the contract")
	t.Logf("%d additions, none refused", added+1)
}

func TestUnit_ARenamedOutputIsRecognised(t *testing.T) {
	t.Parallel()
	at := shipped(t)
	change := contract.Compare(at, changed(t, at, func(c *contract.Contract) {
		outputs := c.Projects[stacks.Published.Name]
		outputs["postgresHost"], outputs["hosts"] = outputs["databaseHost"], contract.Output{Type: "[]string"}
		delete(outputs, "databaseHost")
	}))
	require.Len(t, change.Breaks, 1)
	assert.Equal(t, "is gone; perhaps it has the name postgresHost now", change.Breaks[0].What)
	assert.Equal(t, []string{"gridos.hosts", "gridos.postgresHost"}, change.Added)
}

// A new version is the way to break readers: each of them is ready for it before.
func TestUnit_ANewVersionWaitsForEveryConsumer(t *testing.T) {
	t.Parallel()
	of := func(project string, versions ...int) contract.Consumer {
		return contract.Consumer{Repository: "r", Project: project, Contact: "c", Versions: versions, Outputs: []string{project}}
	}
	outputs := map[string]contract.Output{"a": {Type: "string"}, "b": {Type: "string"}, "contractVersion": {Type: "int"}}
	before := contract.At{
		Contract:  contract.Contract{Version: 1, Projects: map[string]map[string]contract.Output{stacks.Published.Name: outputs}},
		Consumers: []contract.Consumer{of("a", 1), of("b", 1, 2)},
	}
	next := func(version int) contract.At {
		return changed(t, before, func(c *contract.Contract) { c.Version = version; delete(c.Projects[stacks.Published.Name], "b") })
	}
	change := contract.Compare(before, next(2))
	require.Len(t, change.Breaks, 2)
	assert.Equal(t, contract.Break{
		Project: stacks.Published.Name, Output: "contractVersion", What: "was 1 and is 2", Consumers: []string{"a (r, c)", "b (r, c)"},
		Refused: "not ready for version 2: a (r, c); each says so in stacks/consumers.yaml first, by a pull request of its own",
	}, change.Breaks[0])
	assert.Equal(t, contract.Break{Project: stacks.Published.Name, Output: "b", What: "is gone", Consumers: []string{"b (r, c)"}}, change.Breaks[1])

	// The change itself cannot declare a consumer ready, or remove it.
	after := next(2)
	after.Consumers = []contract.Consumer{of("a", 1, 2), of("b", 1, 2)}
	assert.Len(t, contract.Compare(before, after).Refused(), 1)
	after.Consumers = nil
	assert.Len(t, contract.Compare(before, after).Refused(), 1)
	before.Consumers[0].Versions = []int{1, 2}
	assert.Empty(t, contract.Compare(before, after).Refused())
	// A consumer that joins with the change counts as well.
	after.Consumers = []contract.Consumer{of("c", 1)}
	assert.Len(t, contract.Compare(before, after).Refused(), 1)

	for _, b := range contract.Compare(before, next(0)).Breaks {
		assert.Equal(t, "the version of the contract only grows", b.Refused)
	}
}

// Two checkouts are compared by their files; a commit may be older than these.
func TestUnit_TwoCheckoutsAreCompared(t *testing.T) {
	t.Parallel()
	old := t.TempDir()
	change, err := contract.Between(old, root)
	require.NoError(t, err)
	assert.Nil(t, change)

	write := func(name, text string) {
		file := filepath.Join(old, filepath.FromSlash(name))
		require.NoError(t, os.MkdirAll(filepath.Dir(file), 0o700))
		require.NoError(t, os.WriteFile(file, []byte(text), 0o600))
	}
	write(contract.File, `{"version": 1, "projects": {"gridos": {"databaseHost": {"type": "string"}, "port": {"type": "int"}}}}`)
	write(contract.ConsumersFile, `consumers: [{repository: "https://a", project: b, language: go, contact: c, versions: [1], outputs: [port]}]`)
	change, err = contract.Between(old, root)
	require.NoError(t, err)
	require.Len(t, change.Refused(), 1)
	assert.Equal(t, []string{"b (https://a, c)"}, change.Refused()[0].Consumers)
	assert.Contains(t, change.Added, "gridos.location")

	write(contract.ConsumersFile, `consumer: []`)
	_, err = contract.Between(old, root)
	require.ErrorContains(t, err, old+", which it is compared with: stacks/consumers.yaml:1: there is no key")
	write(contract.File, `{`)
	_, err = contract.Between(old, root)
	require.ErrorContains(t, err, "stacks/testdata/contract.json: unexpected end")
}
