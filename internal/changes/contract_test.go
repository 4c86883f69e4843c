package changes_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gridos/sharedinfra/internal/changes"
	"github.com/gridos/sharedinfra/stacks"
	"github.com/gridos/sharedinfra/stacks/contract"
)

// broken is a change of the contract that breaks two consumers, and one that is registered nowhere.
func broken() *contract.Change {
	consumer := func(project string, outputs ...string) contract.Consumer {
		return contract.Consumer{
			Repository: "https://github.com/gridos/" + project, Project: project, Contact: "@gridos/" + project, Versions: []int{1}, Outputs: outputs,
		}
	}
	of := func(outputs ...string) contract.Contract {
		c := contract.Contract{Version: 1, Projects: map[string]map[string]contract.Output{stacks.Published.Name: {}}}
		for _, key := range outputs {
			c.Projects[stacks.Published.Name][key] = contract.Output{Type: "string"}
		}
		return c
	}
	before := contract.At{Contract: of("databaseHost", "databaseName", "location"), Consumers: []contract.Consumer{
		consumer("reports", "databaseHost", "databaseName"), consumer("invoices", "databaseHost"),
	}}
	after := contract.At{Contract: of("databaseServer", "databaseName", "zone")}
	return contract.Compare(before, after)
}

func TestUnit_TheReportSaysWhomAChangeOfTheOutputsConcerns(t *testing.T) {
	t.Parallel()
	first, second := changes.Report{Environment: "dev", Base: "main", Projects: []changes.Project{{Name: "gridos"}}}, report()
	first.Contract, second.Environment, second.Contract = broken(), "test", broken()
	var markdown, plain bytes.Buffer
	require.NoError(t, changes.WriteMarkdown(&markdown, []changes.Report{first, second}))
	require.NoError(t, first.WriteText(&plain, false))
	for name, got := range map[string][]byte{"contract.md": markdown.Bytes(), "contract.txt": plain.Bytes()} {
		matchFile(t, name, got)
	}
	assert.Equal(t, 1, strings.Count(markdown.String(), "that others read"), "it is that of both environments")
	assert.Less(t, strings.Index(markdown.String(), "that others read"), strings.Index(markdown.String(), "could be previewed.\n\n```"))

	text, err := json.Marshal(first)
	require.NoError(t, err)
	var again changes.Report
	require.NoError(t, json.Unmarshal(text, &again))
	assert.Equal(t, first.Contract, again.Contract)
	lines := changes.Broken([]changes.Report{first, second})
	require.Len(t, lines, 2)
	assert.Contains(t, lines[0], "gridos.databaseHost is gone; perhaps it has the name databaseServer now, which concerns "+
		"invoices (https://github.com/gridos/invoices, @gridos/invoices), reports (https://github.com/gridos/reports, @gridos/reports). ")
	assert.Contains(t, lines[1], "gridos.location is gone, and no registered consumer reads it. ")
}

// crowded are reports of all environments with more of everything than a comment has room for.
func crowded() []changes.Report {
	var reports []changes.Report
	var consumers []string
	for i := range 200 {
		consumers = append(consumers, fmt.Sprintf("consumer-%03d (https://github.com/gridos/consumer-%03d, @gridos/team)", i, i))
	}
	c := contract.Change{Before: 1, After: 1}
	for i := range 60 {
		c.Breaks = append(c.Breaks, contract.Break{
			Project: stacks.Published.Name, Output: fmt.Sprintf("output%d", i), What: "is gone", Consumers: consumers[:i+1], Refused: "keep the output",
		})
	}
	for _, environment := range []string{"prod", "dev", "test"} {
		for _, base := range []string{"main (abc1234)", ""} {
			r := changes.Report{Environment: environment, Base: base, Cost: &changes.Cost{Currency: "USD", Unpriced: []string{"c", "a", "b"}}}
			if base != "" {
				r.Contract = &c
			}
			r.Cost.After.High = 3
			for _, name := range []string{"gridos-bootstrap", "gridos", "gridos-infra", "gridos-apps"} {
				p := changes.Project{Name: name}
				for i := range 90 {
					urn := fmt.Sprintf("urn:pulumi:%s::%s::t:t:T::%d", environment, name, i)
					level := []changes.Level{changes.Plain, changes.Costly, changes.Risky, changes.Plain, changes.Plain}[i%5]
					if i == 41 {
						level = changes.Dangerous
					}
					p.Changes = append(p.Changes, changes.Change{
						Op: changes.Ops()[i%4], URN: urn, Type: "t:t:T", Name: fmt.Sprintf("%s-%d", name, i), Level: level,
						Reasons: []string{"why"}, DependsOn: []string{"b", "a"},
						Properties: []changes.Property{{Path: "z", Old: strings.Repeat("o ", 60)}, {Path: "a", New: strings.Repeat("n ", 60)}},
					})
					r.Cost.Resources = append(r.Cost.Resources, changes.ResourceCost{URN: urn, Type: "t:t:T", Name: fmt.Sprintf("%s-%d", name, i)})
				}
				r.Projects = append(r.Projects, p)
			}
			reports = append(reports, r)
		}
	}
	return reports
}

func TestUnit_TheSameReportsInAnyOrderAreTheSameComment(t *testing.T) {
	t.Parallel()
	written := func(reports []changes.Report) string {
		var text strings.Builder
		require.NoError(t, changes.WriteMarkdown(&text, reports))
		return text.String()
	}
	want := written(crowded())
	for seed := range uint64(20) {
		random := rand.New(rand.NewPCG(seed, 1))
		reports := crowded()
		random.Shuffle(len(reports), func(i, j int) { reports[i], reports[j] = reports[j], reports[i] })
		for _, r := range reports {
			random.Shuffle(len(r.Projects), func(i, j int) { r.Projects[i], r.Projects[j] = r.Projects[j], r.Projects[i] })
			for _, p := range r.Projects {
				random.Shuffle(len(p.Changes), func(i, j int) { p.Changes[i], p.Changes[j] = p.Changes[j], p.Changes[i] })
				for _, c := range p.Changes {
					random.Shuffle(2, func(i, j int) { c.Properties[i], c.Properties[j] = c.Properties[j], c.Properties[i] })
					random.Shuffle(2, func(i, j int) { c.DependsOn[i], c.DependsOn[j] = c.DependsOn[j], c.DependsOn[i] })
				}
			}
			random.Shuffle(3, func(i, j int) { r.Cost.Unpriced[i], r.Cost.Unpriced[j] = r.Cost.Unpriced[j], r.Cost.Unpriced[i] })
			random.Shuffle(len(r.Cost.Resources), func(i, j int) {
				r.Cost.Resources[i], r.Cost.Resources[j] = r.Cost.Resources[j], r.Cost.Resources[i]
			})
		}
		require.Equal(t, want, written(reports), "seed %d", seed)
	}
}

// A reviewer decides by what is dangerous, what it costs and whom it breaks: these come before the
// first table of changes, of all environments, however much there is.
func TestUnit_TheSummaryComesFirstAndTheWholeIsWrittenToo(t *testing.T) {
	t.Parallel()
	var comment, whole strings.Builder
	require.NoError(t, changes.WriteMarkdown(&comment, crowded()))
	require.NoError(t, changes.WriteWhole(&whole, crowded()))
	summary, _, found := strings.Cut(comment.String(), "\n### ")
	require.True(t, found)
	assert.Less(t, len(summary), 20_000, "a comment has 65,536 characters")
	assert.Equal(t, 6, strings.Count(summary, " a month."), "what each costs")
	assert.Equal(t, 24, strings.Count(summary, "\n> delete ")+strings.Count(summary, "\n> update "), "what is dangerous in each")
	assert.Equal(t, 1, strings.Count(summary, "60 changes refused, 60 consumers would break"))
	assert.Contains(t, summary, "consumer-000 (https://github.com/gridos/consumer-000, @gridos/team)")
	assert.Contains(t, summary, "And 40 more; the report's JSON, an artifact of the run, has all.")
	order := []string{"| environment |", "> Whom it concerns:", "> **dev, as deployed**", "> **prod, in the lab**"}
	for i := 1; i < len(order); i++ {
		assert.Less(t, strings.Index(summary, order[i-1]), strings.Index(summary, order[i]), order[i])
	}
	rows := func(text string) int { return strings.Count(text, "| `T gridos") }
	assert.Equal(t, 240, rows(comment.String()))
	assert.Equal(t, 6*4*90, rows(whole.String()))
}
