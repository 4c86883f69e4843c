package deployed_test

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/pulumi/pulumi/sdk/v3/go/common/apitype"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"github.com/gridos/sharedinfra/pipeline/internal/approval"
	"github.com/gridos/sharedinfra/pipeline/internal/deployed"
	"github.com/gridos/sharedinfra/stacks"
)

const commit = "0123456789012345678901234567890123456789"

// deployment is an approved plan, and the steps that are about to happen in its deployment. A
// change between the two changes its fields.
type deployment struct {
	random   *rand.Rand
	now      steps
	plan     approval.Plan
	commit   string
	consents []string
}

// changed are the ways in which something changes between approval and deployment, each with what
// it is called.
var changed = []struct {
	class  string
	change func(d *deployment)
}{
	{"value", func(d *deployment) {
		project, i := d.now.any(d.random, []apitype.OpType{apitype.OpCreate, apitype.OpUpdate}[d.random.IntN(2)], everywhere...)
		m := d.now[project][i]
		if m.Op == apitype.OpUpdate && d.random.IntN(3) == 0 {
			m.Old.Inputs["count"] = -1.0 // a user has changed it in Azure
			return
		}
		m.New.Inputs["count"] = different(m.New.Inputs["count"])
	}},
	{"operation", func(d *deployment) {
		ways := [][2]apitype.OpType{
			{apitype.OpCreate, apitype.OpUpdate},
			{apitype.OpUpdate, apitype.OpDelete},
			{apitype.OpUpdate, apitype.OpCreate},
			{apitype.OpCreate, apitype.OpImport},
			{apitype.OpReplace, apitype.OpDelete},
		}
		way := ways[d.random.IntN(len(ways))]
		project, i := d.now.any(d.random, way[0], everywhere...)
		d.now[project][i].Op = way[1]
	}},
	{"resource added or removed", func(d *deployment) {
		project, i := d.now.any(d.random, apitype.OpSame, everywhere...)
		m := &d.now[project][i]
		if m.Op = apitype.OpCreate; d.random.IntN(2) == 0 {
			m.Op, m.New = apitype.OpDelete, nil
		}
	}},
	{"replacement", func(d *deployment) {
		if d.random.IntN(3) == 0 { // because of something else than was approved
			project, i := d.now.any(d.random, apitype.OpReplace, everywhere...)
			m := d.now[project][i]
			m.New.Inputs["enabled"] = "other"
			m.DetailedDiff["enabled"] = apitype.PropertyDiff{Kind: apitype.DiffUpdateReplace, InputDiff: true}
			return
		}
		project, i := d.now.any(d.random, apitype.OpUpdate, everywhere...)
		m := d.now[project][i]
		d.now[project] = slices.Concat(d.now[project][:i], d.now[project][i+1:], replaced(m, "count"))
	}},
	{"provider version", func(d *deployment) {
		d.now.provider(d.random)["version"] = fmt.Sprintf("4.%d.1", d.random.IntN(30))
	}},
	{"contract version", func(d *deployment) { d.plan.ContractVersion += []int{-1, 1}[d.random.IntN(2)] }},
	{"commit", func(d *deployment) { d.commit = fmt.Sprintf("%040x", d.random.Uint64()) }},
	{"another stack's plan", func(d *deployment) {
		switch d.random.IntN(3) {
		case 0:
			d.plan.Stacks[1].Entries, d.plan.Stacks[2].Entries = d.plan.Stacks[2].Entries, d.plan.Stacks[1].Entries
		case 1:
			d.plan.Environment = "test"
		default: // that of one stack holds, and that of a later one does not
			project, i := d.now.any(d.random, apitype.OpCreate, everywhere[1:]...)
			d.now[project][i].New.Inputs["tags"] = map[string]any{"owner": "other"}
		}
	}},
	{"provider configuration", func(d *deployment) {
		config := d.now.provider(d.random)
		switch d.random.IntN(3) {
		case 0:
			config["namespace"] = different(config["namespace"])
		case 1:
			config["context"] = "another"
		default:
			delete(config, "namespace")
		}
	}},
	{"unknown that forces a replacement", func(d *deployment) {
		project, i := d.now.any(d.random, apitype.OpUpdate, everywhere...)
		m := d.now[project][i]
		if d.random.IntN(2) == 0 { // the others stay unknown
			m.New.Inputs["subnetId"] = "/subnets/" + word(d.random) + "-new"
		}
		d.now[project] = slices.Concat(d.now[project][:i], d.now[project][i+1:], replaced(m, "subnetId"))
	}},
	{"widened consent", func(d *deployment) {
		switch d.random.IntN(3) {
		case 0: // to fewer changes than there are
			d.consents = []string{consentOf(d.plan.Environment, len(d.plan.Dangers)-1)}
		case 1: // to whatever there may be
			d.consents = []string{"allow-dangerous-change", "allow-dangerous-change:prod", "bug"}
		default:
			d.plan.Dangers = d.plan.Dangers[1:] // the consent was to all but one
		}
	}},
}

func consentOf(environment string, n int) string { return fmt.Sprintf("%s-%020x", environment, n) }

// replaced is a replacement in place of an update, because of a property.
func replaced(m apitype.StepEventMetadata, because string) []apitype.StepEventMetadata {
	three := replacement("", m.Type, "", m.Old.Inputs, m.New.Inputs, because)
	for i := range three {
		three[i].URN, three[i].Old = m.URN, m.Old
		if three[i].New != nil {
			three[i].New = m.New
		}
		for path, d := range m.DetailedDiff {
			if _, ok := three[i].DetailedDiff[path]; !ok && three[i].DetailedDiff != nil {
				three[i].DetailedDiff[path] = d
			}
		}
	}
	return three
}

// outcome is which projects a deployment updated, and how it ended.
type outcome struct {
	updated []string
	err     error
}

// deploy plans, makes a change, and deploys.
func deploy(t *testing.T, seed uint64, repository string, unknowns, settles bool, change func(*deployment)) outcome {
	random := rand.New(rand.NewPCG(seed, 22))
	before := generate(random, unknowns)
	// Each environment has something that is dangerous to lose.
	old := inputsOf(random)
	before[stacks.Infra.Name] = append(before[stacks.Infra.Name],
		step(stacks.Infra.Name, types[len(types)-1], "guarded", apitype.OpDelete, old, nil, nil),
		step(stacks.Infra.Name, types[len(types)-2], "guarded", apitype.OpDelete, old, nil, nil))
	e := &engine{events: before.events(random)}
	environment := deployed.With(e, repository, "prod", io.Discard)
	plan, report, err := environment.Plan(t.Context(), commit)
	if err != nil || len(report.Errors()) > 0 || plan.Consent == "" {
		return outcome{[]string{"nothing was planned"}, errors.Join(err, errors.New(report.Verdict()))}
	}
	d := &deployment{random: random, now: clone(before), plan: plan, commit: commit, consents: []string{plan.Consent}}
	if change != nil {
		change(d)
	}
	file := filepath.Join(t.TempDir(), "plan.json")
	digest, err := d.plan.Write(file)
	if err != nil {
		return outcome{[]string{"nothing was written"}, err}
	}
	approved, err := approval.Read(file, digest)
	if err != nil {
		return outcome{[]string{"nothing was read"}, err}
	}
	e.events = d.now.events(random)
	if settles {
		e.later = d.now.settle(random).events(random)
	}
	_, err = environment.Up(t.Context(), approved, d.commit, d.consents)
	return outcome{e.updated, err}
}

// Two hundred deployments differ from their approved plans, in one way each: none changes anything.
// Two hundred others do not differ, and all succeed.
func TestUnit_WhatIsApprovedIsWhatRuns(t *testing.T) {
	t.Parallel()
	const cases, withUnknowns = 200, 60
	repository := projects(t)
	all := make([]outcome, 2*cases)
	group := errgroup.Group{}
	group.SetLimit(cases) // each waits for its events more than it computes
	for i := range uint64(cases) {
		class := changed[i%uint64(len(changed))]
		group.Go(func() error {
			all[i] = deploy(t, i, repository, class.class == "unknown that forces a replacement" || i%3 == 0, false, class.change)
			return nil
		})
		group.Go(func() error {
			all[cases+i] = deploy(t, cases+i, repository, i < withUnknowns, i < withUnknowns, nil)
			return nil
		})
	}
	require.NoError(t, group.Wait())

	refused, touched := map[string]int{}, 0
	for i, o := range all[:cases] {
		class := changed[i%len(changed)].class
		touched += len(o.updated)
		assert.Empty(t, o.updated, "%s, seed %d", class, i)
		var refusal *approval.RefusedError
		if assert.ErrorAs(t, o.err, &refusal, "%s, seed %d", class, i) {
			refused[class]++
		}
	}
	total := 0
	for _, c := range changed {
		t.Logf("%3d refused: %s", refused[c.class], c.class)
		assert.GreaterOrEqual(t, refused[c.class], 15, c.class)
		total += refused[c.class]
	}
	t.Logf("%d of %d changed deployments were refused; %d stacks were touched", total, cases, touched)

	done := 0
	for i, o := range all[cases:] {
		if assert.NoError(t, o.err, "seed %d", cases+i) && assert.Equal(t, everywhere, o.updated) {
			done++
		}
	}
	t.Logf("%d of %d unchanged deployments took place, %d of them with unknown values", done, cases, withUnknowns)
}

// Values that later stacks read are known only after earlier ones are updated. A resource whose
// update then becomes a replacement stays as it is.
func TestUnit_AStackIsCheckedAgainBeforeItsTurn(t *testing.T) {
	t.Parallel()
	random := rand.New(rand.NewPCG(1, 22))
	before := generate(random, true)
	e := &engine{events: before.events(random)}
	environment := deployed.With(e, projects(t), "prod", io.Discard)
	plan, _, err := environment.Plan(t.Context(), commit)
	require.NoError(t, err)

	later := before.settle(random)
	project, i := later.any(random, apitype.OpUpdate, stacks.Apps.Name)
	m := later[project][i]
	m.New.Inputs["subnetId"] = "/subnets/another"
	later[project] = slices.Concat(later[project][:i], later[project][i+1:], replaced(m, "subnetId"))
	e.later = later.events(random)
	_, err = environment.Up(t.Context(), plan, commit, []string{plan.Consent})
	require.ErrorContains(t, err, "gridos-apps/prod was left as it is")
	require.ErrorContains(t, err, m.URN)
	assert.Equal(t, everywhere[:2], e.updated)
}

// A deployment may do less than was approved: one that failed half-way is run again.
func TestUnit_LessThanWasApprovedMayBeDone(t *testing.T) {
	t.Parallel()
	random := rand.New(rand.NewPCG(2, 22))
	before := generate(random, false)
	e := &engine{events: before.events(random)}
	environment := deployed.With(e, projects(t), "prod", io.Discard)
	plan, _, err := environment.Plan(t.Context(), commit)
	require.NoError(t, err)
	for project, of := range before {
		before[project] = slices.DeleteFunc(of, func(m apitype.StepEventMetadata) bool {
			return m.Op == apitype.OpCreate || m.Op == apitype.OpReplace || m.Op == apitype.OpCreateReplacement
		})
	}
	e.events = before.events(random)
	_, err = environment.Up(t.Context(), plan, commit, []string{plan.Consent})
	require.NoError(t, err)
	assert.Equal(t, everywhere, e.updated)
}

// The cases have few values, so a plain hash would give a value away. The plan has codes that need
// the key instead, and it has the key encrypted; each place has another code for the same value.
func TestUnit_APlanTellsNoValue(t *testing.T) {
	t.Parallel()
	random := rand.New(rand.NewPCG(3, 22))
	e := &engine{events: generate(random, true).events(random)}
	var log strings.Builder
	plan, _, err := deployed.With(e, projects(t), "prod", &log).Plan(t.Context(), commit)
	require.NoError(t, err)
	file := filepath.Join(t.TempDir(), "plan.json")
	_, err = plan.Write(file)
	require.NoError(t, err)
	text, err := os.ReadFile(file)
	require.NoError(t, err)
	words := []string{"francecentral", "westeurope", "Standard", "Premium", "Disabled", "Enabled"}
	for i := range 12 {
		words = append(words, fmt.Sprint(i))
	}
	for _, value := range words {
		for _, encoded := range []string{value, `"` + value + `"`} {
			sum := sha256.Sum256([]byte(encoded))
			assert.NotContains(t, string(text), hex.EncodeToString(sum[:]))
			assert.NotContains(t, string(text), base64.StdEncoding.EncodeToString(sum[:]))
		}
		if len(value) > 2 {
			assert.NotContains(t, string(text), value)
		}
	}
	require.Len(t, e.secrets, 1)
	for _, said := range []string{string(text), log.String(), strings.Join(e.commands, "\n")} {
		assert.NotContains(t, said, strings.TrimSpace(e.secrets[0]), "the key")
	}
	codes := map[approval.Value]string{}
	secrets := 0
	for _, s := range plan.Stacks {
		for _, entry := range s.Entries {
			for _, p := range entry.Properties {
				place := entry.URN + " " + p.Path
				if was, ok := codes[p.New]; ok && len(p.New) > len(approval.Unknown) {
					assert.Equal(t, was, place, "the same code at two places")
				}
				codes[p.New] = place
				if p.New == approval.Secret {
					secrets++
				}
			}
		}
	}
	assert.NotZero(t, secrets)

	again, _, err := deployed.With(e, projects(t), "prod", io.Discard).Plan(t.Context(), commit)
	require.NoError(t, err)
	assert.NotEqual(t, plan.Stacks, again.Stacks, "each plan has a key of its own")
}

func TestUnit_APlanIsReadOnlyAsItWasApproved(t *testing.T) {
	t.Parallel()
	random := rand.New(rand.NewPCG(4, 22))
	e := &engine{events: generate(random, false).events(random)}
	plan, _, err := deployed.With(e, projects(t), "prod", io.Discard).Plan(t.Context(), commit)
	require.NoError(t, err)
	file := filepath.Join(t.TempDir(), "plan.json")
	digest, err := plan.Write(file)
	require.NoError(t, err)
	text, err := os.ReadFile(file)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(file, []byte(strings.Replace(string(text), "delete", "update", 1)), 0o600))
	var refusal *approval.RefusedError
	_, err = approval.Read(file, digest)
	require.ErrorAs(t, err, &refusal)
	require.NoError(t, os.WriteFile(file, text, 0o600))
	_, err = approval.Read(file, "")
	require.ErrorAs(t, err, &refusal)
	_, err = approval.Read(file, digest)
	require.NoError(t, err)
}

// A preview that fails tells what it has found until then: that is no plan, and no proof that an
// update would do what was approved.
func TestUnit_APreviewThatFailsPlansAndProvesNothing(t *testing.T) {
	t.Parallel()
	random := rand.New(rand.NewPCG(4, 22))
	e := &engine{events: generate(random, false).events(random)}
	environment := deployed.With(e, projects(t), "prod", io.Discard)
	plan, _, err := environment.Plan(t.Context(), commit)
	require.NoError(t, err)
	for _, project := range everywhere {
		e.failing = project
		_, report, err := environment.Plan(t.Context(), commit)
		require.NoError(t, err)
		require.Len(t, report.Errors(), 1, project)
		assert.Contains(t, report.Errors()[0], project+"/prod failed; what Pulumi said is above")
		_, err = environment.Up(t.Context(), plan, commit, []string{plan.Consent})
		require.ErrorContains(t, err, "nothing was changed, because what an update would do is not known: "+report.Errors()[0])
	}
	assert.Empty(t, e.updated)
	e.failing, e.lazy = "", true
	_, _, err = environment.Plan(t.Context(), commit)
	require.ErrorContains(t, err, "seal the plan's key: the CLI has encrypted nothing in ")
}

// A preview that was cut off may lack steps.
func TestUnit_AnIncompletePreviewIsNoPlan(t *testing.T) {
	t.Parallel()
	r := approval.Recorder{Key: approval.NewKey()}
	_, err := r.Stack("gridos-infra")
	require.ErrorContains(t, err, "did not come to its end")
	r.See(apitype.EngineEvent{SummaryEvent: &apitype.SummaryEvent{}})
	_, err = r.Stack("gridos-infra")
	require.NoError(t, err)
}
