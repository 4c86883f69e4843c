package engine

import (
	"context"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/pulumi/pulumi/sdk/v3/go/auto"
	"github.com/pulumi/pulumi/sdk/v3/go/auto/optup"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"mvdan.cc/sh/v3/interp"
	"mvdan.cc/sh/v3/syntax"
	"sigs.k8s.io/yaml"

	"github.com/gridos/sharedinfra/lab/internal/azure"
	"github.com/gridos/sharedinfra/lab/internal/azure/azcli"
	"github.com/gridos/sharedinfra/stacks"
)

// reader is a person who follows OPERATIONS.md for gridos-infra of dev: az against the simulated
// Azure, pulumi with the real engine.
type reader struct {
	t      *testing.T
	e      *Engine
	cloud  *azure.Cloud
	infra  part
	values Overrides
	manual azcli.Document
	// results has the result of each pulumi command that ran the engine, in order; leftOut are the
	// commands that were not carried out.
	results []Result
	leftOut []string
}

// read returns a reader whose environment is up.
func read(t *testing.T) *reader {
	t.Helper()
	manual, err := azcli.ReadDocument(filepath.Join(repository, "docs", "OPERATIONS.md"))
	require.NoError(t, err)
	e, cloud := newEngineFor(t, "dev", azure.Options{Kubernetes: standIn{}, RolePropagation: &soonEffective})
	r := &reader{t: t, e: e, cloud: cloud, infra: partOf(t, stacks.Infra), values: promptly(), manual: manual}
	_, err = e.one(t.Context(), upOperation(r.values), r.infra)
	require.NoError(t, err)
	return r
}

// cluster returns the id of dev's cluster.
func (r *reader) cluster() string {
	r.t.Helper()
	for _, found := range r.cloud.Inventory() {
		if found.Type == "Microsoft.ContainerService/managedClusters" {
			return found.ID
		}
	}
	require.Fail(r.t, "there is no cluster")
	return ""
}

// section returns the blocks of a section in one language.
func (r *reader) section(heading, language string) []string {
	r.t.Helper()
	blocks, err := r.manual.Section(heading)
	require.NoError(r.t, err)
	var scripts []string
	for _, b := range blocks {
		if b.Language == language {
			scripts = append(scripts, b.Script)
		}
	}
	require.NotEmpty(r.t, scripts, "%s has no %s", heading, language)
	return scripts
}

// edit puts the values of a YAML block into the stack's file.
func (r *reader) edit(block string) {
	r.t.Helper()
	var file struct {
		Config map[string]any `json:"config"`
	}
	require.NoError(r.t, yaml.Unmarshal([]byte(block), &file))
	require.NotEmpty(r.t, file.Config)
	for name, value := range file.Config {
		project, key, ok := strings.Cut(name, ":")
		require.True(r.t, ok, name)
		if r.values[project] == nil {
			r.values[project] = map[string]any{}
		}
		r.values[project][key] = value
	}
}

// do runs a script as the shell does, and stops at the first command that fails. It leaves out
// kubectl's commands, because this lab has no cluster.
func (r *reader) do(script string) error {
	r.t.Helper()
	file, err := syntax.NewParser(syntax.Variant(syntax.LangBash)).Parse(strings.NewReader(script), "")
	require.NoError(r.t, err)
	runner, err := interp.New(interp.Params("-e"), interp.StdIO(nil, r.t.Output(), r.t.Output()),
		interp.ExecHandlers(func(next interp.ExecHandlerFunc) interp.ExecHandlerFunc {
			return func(ctx context.Context, words []string) error {
				if words[0] == "date" {
					return next(ctx, words)
				}
				return r.command(ctx, words)
			}
		}))
	require.NoError(r.t, err)
	return runner.Run(r.t.Context(), file)
}

func (r *reader) command(ctx context.Context, words []string) error {
	r.t.Logf("$ %s", strings.Join(words, " "))
	switch words[0] {
	case "az":
		return azcli.Client{Cloud: r.cloud}.Run(ctx, words[1:], interp.HandlerCtx(ctx).Stdout)
	case "pulumi":
		return r.pulumi(ctx, words[1:])
	case "kubectl":
		r.t.Log("  left out: there is no cluster behind this simulated Azure")
		r.leftOut = append(r.leftOut, strings.Join(words, " "))
		return nil
	default:
		return fmt.Errorf("%s is no command that a procedure of OPERATIONS.md has", words[0])
	}
}

// pulumi carries out a command for gridos-infra of dev, as it is written.
func (r *reader) pulumi(ctx context.Context, words []string) error {
	const project, stack = "-C infra ", " -s dev"
	line := strings.Join(words, " ")
	if !strings.HasPrefix(line, project) || !strings.Contains(line+" ", stack+" ") {
		return fmt.Errorf("pulumi %s: only gridos-infra of dev is here", line)
	}
	words = strings.Fields(strings.Replace(strings.TrimPrefix(line, project)+" ", stack+" ", " ", 1))
	switch {
	case len(words) == 4 && words[0] == "config" && words[1] == "set":
		r.values[stacks.Infra.Name][words[2]] = words[3] // text, as the CLI writes it
		return nil
	case slices.Equal(words, []string{"up", "--refresh"}):
		return r.engine(ctx, upRefreshedOperation(r.values))
	case slices.Equal(words, []string{"up"}):
		return r.engine(ctx, upOperation(r.values))
	case slices.Equal(words, []string{"preview"}):
		return r.engine(ctx, previewOperation(r.values))
	case slices.Equal(words, []string{"refresh"}):
		_, err := r.e.one(ctx, refreshOperation(), r.infra)
		return err
	case len(words) == 4 && words[0] == "state" && words[1] == "taint" && words[2] == "--yes":
		stack, _, err := r.e.existing(ctx, r.infra.Name, auto.Program(r.infra.program))
		if err != nil {
			return err
		}
		_, err = command(ctx, stack, nil, words...)
		return err
	default:
		return fmt.Errorf("pulumi %s: this is not carried out here", line)
	}
}

func (r *reader) engine(ctx context.Context, do operation) error {
	result, err := r.e.one(ctx, do, r.infra)
	if err == nil {
		r.results = append(r.results, result)
		r.t.Logf("  %s: %v", do.verb, result.Changes)
	}
	return err
}

// upRefreshedOperation is "pulumi up --refresh".
func upRefreshedOperation(overrides Overrides) operation {
	do := upOperation(overrides)
	do.run = func(ctx context.Context, s auto.Stack, w *watcher) error {
		_, err := s.Up(ctx, optup.Refresh(), optup.EventStreams(w.events()), optup.ProgressStreams(w.log),
			optup.ErrorProgressStreams(w.log), optup.SuppressOutputs())
		return err
	}
	return do
}

// last returns the result of the last pulumi command that ran the engine.
func (r *reader) last() Result {
	r.t.Helper()
	require.NotEmpty(r.t, r.results, "the procedure ran no pulumi")
	return r.results[len(r.results)-1]
}

// settled requires that nothing is left to do, and that every resource in Azure can work.
func (r *reader) settled() {
	r.t.Helper()
	again, err := r.e.one(r.t.Context(), upRefreshedOperation(r.values), r.infra)
	require.NoError(r.t, err)
	assert.Equal(r.t, "no change", again.Summary(), "a second update changes nothing")
	assert.Empty(r.t, r.cloud.Unfulfilled())
}

func TestEngine_TheProcedureForKubernetesWorks(t *testing.T) {
	r := read(t)
	assert.Equal(t, map[string]string{"system": "1.35.0", "user": "1.35.0"}, r.cloud.PoolVersions(r.cluster()))
	scripts := r.section("Kubernetes, minor", "sh")
	require.Len(t, scripts, 3)

	require.NoError(t, r.do(scripts[0]))
	assert.Equal(t, map[string]string{"system": "1.36.0", "user": "1.36.0"}, r.cloud.PoolVersions(r.cluster()))
	assert.Equal(t, "no change", r.last().Summary(), "the last command changes nothing in Azure")
	r.settled()
	require.NoError(t, r.do(scripts[1]), "a pool that has the version already")
	require.NoError(t, r.do(scripts[2]), "node images")
	assert.Equal(t, map[string]string{"system": "1.36.0", "user": "1.36.0"}, r.cloud.PoolVersions(r.cluster()))
	r.settled()
	assert.Empty(t, r.leftOut)

	require.ErrorContains(t, r.do(strings.ReplaceAll(scripts[0], "1.36", "1.38")), "go to 1.37 first")
	require.ErrorContains(t, r.do(strings.ReplaceAll(scripts[0], "1.36", "1.35")), "cannot go down")
	require.ErrorContains(t, r.do(strings.ReplaceAll(scripts[1], "1.36", "1.37")), "NodePoolMcVersionIncompatible")
}

// If a command ends before all pools are upgraded, the second block of the section does the rest.
func TestEngine_TheProcedureForAPoolThatStayedBehindWorks(t *testing.T) {
	if testing.Short() {
		t.Skip("-short: the procedure for Kubernetes raises pools too")
	}
	r := read(t)
	scripts := r.section("Kubernetes, minor", "sh")
	// The former procedure upgrades the control plane only.
	r.values[stacks.Infra.Name]["kubernetesVersion"] = "1.36"
	require.NoError(t, r.engine(t.Context(), upRefreshedOperation(r.values)))
	require.NoError(t, r.cloud.UpgradePool(t.Context(), r.cluster(), "system", "1.36"))
	assert.Equal(t, map[string]string{"system": "1.36.0", "user": "1.35.0"}, r.cloud.PoolVersions(r.cluster()))
	require.NoError(t, r.do(scripts[1]))
	assert.Equal(t, map[string]string{"system": "1.36.0", "user": "1.36.0"}, r.cloud.PoolVersions(r.cluster()))
	r.settled()
}

func TestEngine_TheProcedureForTheSystemPoolWorks(t *testing.T) {
	r := read(t)
	script := r.section("Size of the system pool", "sh")[0]

	// Azure keeps the old pool unless another one takes its place.
	require.ErrorContains(t, r.do("az aks nodepool delete -g dev-gridos-rg --cluster-name dev-gridos-aks -n system"),
		"the last of mode System")

	require.NoError(t, r.do(script))
	assert.Equal(t, map[string]string{"system2": "1.35.0", "user": "1.35.0"}, r.cloud.PoolVersions(r.cluster()))
	assert.Zero(t, r.last().Changes["replace"], "%v", r.last().Changes)
	assert.Equal(t, "no change", r.last().Summary(), "what az made is what the program wants")
	assert.Equal(t, []string{"kubectl drain -l agentpool=system --ignore-daemonsets --delete-emptydir-data"}, r.leftOut)
	r.settled()
}

// A command with a missing flag makes a pool that differs from the program's, and the next step
// reports it.
func TestEngine_APoolThatIsNotWhatTheProgramWantsIsRefused(t *testing.T) {
	r := read(t)
	script := r.section("Size of the system pool", "sh")[0]
	less := strings.Replace(script, "--max-pods 110 ", "", 1)
	require.NotEqual(t, script, less)
	err := r.do(less)
	var failure *Failure
	require.ErrorAs(t, err, &failure)
	assert.Contains(t, strings.Join(failure.Messages, "\n"), "PropertyChangeNotAllowed")
	assert.Contains(t, strings.Join(failure.Messages, "\n"), "maxPods")
}

func TestEngine_TheProcedureForTheMeshWorks(t *testing.T) {
	if testing.Short() {
		t.Skip("-short: the rules of a mesh's revisions are tried in package enginetest")
	}
	const heading = "A revision of the mesh"
	r := read(t)
	revisions := func() []string {
		in, _, exists := r.cloud.Live(r.cluster())
		require.True(t, exists)
		return in.Texts("serviceMeshProfile.istio.revisions")
	}
	require.Equal(t, []string{"asm-1-30"}, revisions())
	scripts := r.section(heading, "sh")

	r.edit(r.section(heading, "yaml")[0])
	require.NoError(t, r.do(scripts[0]))
	assert.Equal(t, []string{"asm-1-30", "asm-1-31"}, revisions())
	assert.Equal(t, "1 updated", r.last().Summary())
	r.settled()

	// Go back instead, as the section says; then forward again.
	r.values[stacks.Infra.Name]["istioRevisions"] = []any{"asm-1-30"}
	require.NoError(t, r.do(scripts[0]))
	assert.Equal(t, []string{"asm-1-30"}, revisions())
	r.edit(r.section(heading, "yaml")[0])
	require.NoError(t, r.do(scripts[0]))

	require.Contains(t, r.manual.Text, "the old revision from the list (`[\"asm-1-31\"]`) and run `pulumi -C infra up --refresh` again")
	r.values[stacks.Infra.Name]["istioRevisions"] = []any{"asm-1-31"}
	require.NoError(t, r.do("pulumi -C infra up --refresh -s dev"))
	assert.Equal(t, []string{"asm-1-31"}, revisions())
	assert.Equal(t, "1 updated", r.last().Summary())
	r.settled()
}

func TestEngine_TheProcedureForPostgreSQLWorks(t *testing.T) {
	r := read(t)
	var server string
	for _, found := range r.cloud.Inventory() {
		if found.Type == typeDatabase {
			server = found.ID
		}
	}
	creation := r.cloud.Creation(server)
	script := r.section("PostgreSQL, major", "sh")[0]
	require.NoError(t, r.do(script))
	in, _, exists := r.cloud.Live(server)
	require.True(t, exists)
	assert.Equal(t, "17", in.Text("version"))
	assert.Equal(t, creation, r.cloud.Creation(server), "the server is the same, with its data")
	assert.Zero(t, r.last().Changes["replace"], "the preview shows no replacement: %v", r.last().Changes)
	r.settled()
	assert.Equal(t, creation, r.cloud.Creation(server))

	require.ErrorContains(t, r.do(script), "must be greater than the current version")
}

func TestEngine_TheProcedureForThePasswordOfTheDatabaseWorks(t *testing.T) {
	r := read(t)
	before := map[string]string{}
	for _, found := range r.cloud.Inventory() {
		before[found.ID] = r.cloud.Creation(found.ID)
	}
	var scripts []string
	for _, candidate := range r.section("What infra generates", "sh") {
		if strings.HasPrefix(candidate, "# needs Azure") {
			scripts = append(scripts, candidate)
		}
	}
	require.Len(t, scripts, 2, "one for the administrator's, and one for that of the service's role")
	left := 0
	for i, has := range []int{2, 1} {
		require.NoError(t, r.do(scripts[i]))
		assert.Equal(t, 1, r.last().Changes["replace"], "the password is another one: %v", r.last().Changes)
		assert.Equal(t, has, r.last().Changes["update"], "its secret has it, and of the administrator's the server: %v", r.last().Changes)
		for id, creation := range before {
			assert.Equal(t, creation, r.cloud.Creation(id), "%s is the same as before", id)
		}
		left += 2 + i
		assert.Len(t, r.leftOut, left, "the cluster is told by kubectl: %v", r.leftOut)
	}
	r.settled()
}

// In the meantime the sender uses its first token, which stays the same.
func TestEngine_TheProcedureForATokenOfASenderWorks(t *testing.T) {
	r := read(t)
	scripts := r.section("Ingest tokens", "sh")
	require.Len(t, scripts, 2, "one issues a token, and one reads it")
	require.NoError(t, r.do(scripts[0]))
	assert.Equal(t, 1, r.last().Changes["replace"], "one token is another one: %v", r.last().Changes)
	assert.Equal(t, 1, r.last().Changes["update"], "the secret has it: %v", r.last().Changes)
	r.settled()
}

// played are the sections of OPERATIONS.md that a test above plays.
var played = []string{
	"Kubernetes, minor", "Size of the system pool", "A revision of the mesh", "PostgreSQL, major", "What infra generates", "Ingest tokens",
}

// notPlayed are the sections with commands for Azure that no test here plays, with the reasons.
var notPlayed = map[string]string{
	"Alerts of Azure":           "names recipients; the attempts of TestEngine_ChangesOfALiveEnvironmentAreAsDocumented change them",
	"Before you begin":          "signs a person in, and chooses a subscription and a backend: the lab has one of each",
	"Images":                    "unlocks a tag of a registry, which the simulated Azure has no images for",
	"Known vulnerabilities":     "reads an image in a registry and changes nothing",
	"What bootstrap generates":  "changes the cluster and GitHub; TestCluster_EveryCommandInTheDocumentsWorks rotates in a cluster",
	"What you have set":         "asks a person for secrets",
	"Notifications":             "puts a person's secret into a vault, and the simulated Azure keeps no values",
	"TLS certificate":           "writes into the vault of the platform, which is no resource of an environment",
	"The key of the state":      "the lab's states are encrypted by a passphrase and not by a key in Azure",
	"PostgreSQL":                "restores data, which the simulated Azure has none of; make restore-rehearsal restores a server of PostgreSQL",
	"In the paired region":      "restores data, in a network that no program makes",
	"Key vault":                 "recovers a secret, and the simulated Azure deletes and recovers secrets with their vault alone",
	"A state file":              "the lab's states are files and not blobs",
	"The cluster, from nothing": "lab/proofs/drill deletes the cluster and brings it up",
	"Teardown":                  "TestEngine_InfraLivesAsDesigned takes all environments down; the links of others are played in azcli",
	"Break-glass":               "signs in where nothing else works: roles, a way into the cluster, a lock of the state",
	"Drift":                     "is a command of the pipeline, which reads and changes nothing",
}

// Each procedure must be played by a test, or listed here with the reason why not.
func TestUnit_EveryProcedureIsPlayedOrSaysWhyNot(t *testing.T) {
	manual, err := azcli.ReadDocument(filepath.Join(repository, "docs", "OPERATIONS.md"))
	require.NoError(t, err)
	found := map[string]bool{}
	for _, b := range manual.Blocks {
		first, _, _ := strings.Cut(b.Script, "\n")
		if b.Language != "sh" || !strings.HasPrefix(first, "# needs ") || !strings.Contains(first, "Azure") {
			continue
		}
		found[b.Heading] = true
		reason, left := notPlayed[b.Heading]
		assert.NotEqual(t, left, slices.Contains(played, b.Heading), "%s: a test plays it, or it says why not", b.Heading)
		if left {
			t.Logf("not played: %s: %s", b.Heading, reason)
		}
	}
	for heading := range notPlayed {
		assert.Contains(t, found, heading, "OPERATIONS.md has no commands for Azure there")
	}
	for _, heading := range played {
		assert.Contains(t, found, heading, "OPERATIONS.md has no commands for Azure there")
	}
}
