package deployed_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/pulumi/pulumi/sdk/v3/go/common/apitype"
	"github.com/pulumi/pulumi/sdk/v3/go/common/resource"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gridos/sharedinfra/pipeline/internal/deployed"
	"github.com/gridos/sharedinfra/stacks"
)

// An update sends the number of nodes in the state. A refresh first reads the number that the
// autoscaler has set, and only in the project with the cluster: a refresh would record a
// half-deleted Helm release as complete. A plan describes the update, so it begins with a refresh
// if the update does; the update is bound to the plan.
func TestUnit_OnlyTheUpdateOfTheClusterRefreshes(t *testing.T) {
	t.Parallel()
	random := rand.New(rand.NewPCG(5, 22))
	e := &engine{events: generate(random, false).events(random)}
	environment := deployed.With(e, projects(t), "prod", io.Discard)
	plan, _, err := environment.Plan(t.Context(), commit)
	require.NoError(t, err)
	results, err := environment.Up(t.Context(), plan, commit, []string{plan.Consent})
	require.NoError(t, err)
	require.Len(t, results, len(everywhere))

	refreshes, held := map[string]bool{}, 0
	for _, command := range e.commands {
		words := strings.Fields(command)
		project := strings.TrimSuffix(words[0], ":")
		switch words[1] {
		case "up":
			refreshes[project] = slices.Contains(words, "--refresh")
			held += strings.Count(command, "--plan=")
		case "preview":
			assert.Equal(t, project == everywhere[0], slices.Contains(words, "--refresh"), command)
		}
	}
	assert.Equal(t, map[string]bool{everywhere[0]: true, everywhere[1]: false, everywhere[2]: false, everywhere[3]: false}, refreshes)
	assert.Equal(t, len(everywhere), held)
}

// Each command that the CLI refuses is told with its stack, and ends what was begun.
func TestUnit_WhatTheCLIRefusesIsToldWithItsStack(t *testing.T) {
	t.Parallel()
	random := rand.New(rand.NewPCG(6, 22))
	e := &engine{events: generate(random, false).events(random)}
	environment := deployed.With(e, projects(t), "prod", io.Discard)
	plan, _, err := environment.Plan(t.Context(), commit)
	require.NoError(t, err)
	up := func() error {
		results, err := environment.Up(t.Context(), plan, commit, []string{plan.Consent})
		assert.NotEqual(t, err == nil, len(results) < len(everywhere))
		return err
	}
	preview := func() error {
		report, err := environment.Preview(t.Context())
		require.NoError(t, err)
		require.Len(t, report.Errors(), 1)
		return errors.New(report.Errors()[0])
	}
	drift := func() error {
		report, err := environment.Drift(t.Context())
		require.NoError(t, err)
		require.Len(t, report.Errors(), 1)
		return errors.New(report.Errors()[0])
	}
	last := func() error {
		found, err := environment.Commit(t.Context())
		assert.Empty(t, found)
		return err
	}
	published := func() error {
		found, err := environment.Published(t.Context())
		assert.Empty(t, found)
		return err
	}
	const none, running = "error: no stack named 'prod' found", "error: the stack is currently locked by 1 lock(s)"
	for _, test := range []struct {
		refuses, said string
		do            func() error
		says          string
	}{
		{"gridos-apps: stack select", none, preview, "there is no stack gridos-apps/prod in the backend; docs/INFRA_PIPELINE_SETUP.md tells"},
		{"gridos-apps: stack select", none, drift, "there is no stack gridos-apps/prod in the backend"},
		{"gridos-apps: stack select", none, up, "there is no stack gridos-apps/prod in the backend"},
		{"gridos-infra: stack select", none, last, "there is no stack gridos-infra/prod in the backend"},
		{"gridos: stack select", none, published, "there is no stack gridos/prod in the backend"},
		{"gridos: stack select", "error: not today", published, "gridos/prod: "},
		{"gridos: stack output", "error: not today", published, "not today"},
		{"gridos-infra: stack history", "error: not today", last, "ask which commit prod was last updated from: "},
		{"gridos-apps: stack export", "error: not today", preview, "not today"},
		{"gridos-apps: preview", running, preview, "another update of gridos-apps/prod is running; wait for it"},
		{"gridos-apps: preview", "error: not today", preview, "gridos-apps/prod failed; what Pulumi said is above"},
		{"gridos-bootstrap: up", running, up, "another update of gridos-bootstrap/prod is running; wait for it"},
		{"gridos-bootstrap: up", "error: not today", up, "gridos-bootstrap/prod failed; what Pulumi said is above"},
	} {
		e.refuses = map[string]string{test.refuses: test.said}
		require.ErrorContains(t, test.do(), test.says, "%s: %s", test.refuses, test.said)
	}
	e.refuses = nil
	require.NoError(t, up())
}

// The first errors of the engine are told, and the others follow from them.
func TestUnit_TenErrorsOfTheEngineAreTold(t *testing.T) {
	t.Parallel()
	said := func(severity, text string) apitype.EngineEvent {
		return apitype.EngineEvent{DiagnosticEvent: &apitype.DiagnosticEvent{Severity: severity, Message: "<{%fg 1%}>" + text + "<{%reset%}>\n"}}
	}
	all := []apitype.EngineEvent{said("warning", "a warning")}
	want := "gridos-apps/prod failed; what Pulumi said is above"
	for i := range 11 {
		all = append(all, said("error", fmt.Sprintf("error %d", i+1)))
		if i < 10 {
			want += fmt.Sprintf("\nerror %d", i+1)
		}
	}
	e := &engine{events: map[string][]apitype.EngineEvent{stacks.Apps.Name: all}, failing: stacks.Apps.Name}
	report, err := deployed.With(e, projects(t), "prod", io.Discard).Preview(t.Context())
	require.NoError(t, err)
	assert.Equal(t, []string{stacks.Apps.Name + ": " + want}, report.Errors())
}

func TestUnit_AnInterruptionEndsAPreviewAndAPlan(t *testing.T) {
	t.Parallel()
	for name, do := range map[string]func(ctx context.Context, e deployed.Environment) error{
		"preview": func(ctx context.Context, e deployed.Environment) error { _, err := e.Preview(ctx); return err },
		"drift":   func(ctx context.Context, e deployed.Environment) error { _, err := e.Drift(ctx); return err },
		"plan":    func(ctx context.Context, e deployed.Environment) error { _, _, err := e.Plan(ctx, commit); return err },
	} {
		ctx, cancel := context.WithCancel(t.Context())
		e := &engine{during: cancel}
		require.ErrorIs(t, do(ctx, deployed.With(e, projects(t), "prod", io.Discard)), context.Canceled, name)
		previews := slices.DeleteFunc(e.commands, func(command string) bool { return !strings.Contains(command, "preview") })
		assert.LessOrEqual(t, len(previews), 1, name)
	}
}

// A stack that changes nothing exports what it has exported. One that changes something, if only
// one resource, is going to export something else, which the previews after it get.
func TestUnit_APreviewGetsWhatTheChangedStacksBeforeItAreGoingToExport(t *testing.T) {
	t.Parallel()
	exports := func(project string, outputs map[string]any) apitype.EngineEvent {
		m := step(project, string(resource.RootStackType), project+"-prod", apitype.OpUpdate, nil, nil, nil)
		m.New = &apitype.StepEventStateMetadata{Type: string(resource.RootStackType), Outputs: outputs}
		return apitype.EngineEvent{ResOutputsEvent: &apitype.ResOutputsEvent{Metadata: m}}
	}
	made := step(stacks.Infra.Name, configMap, "new", apitype.OpCreate, nil, map[string]any{"a": "b"}, nil)
	e := &engine{handed: map[string]string{}, events: map[string][]apitype.EngineEvent{
		stacks.Infra.Name: {
			{ResourcePreEvent: &apitype.ResourcePreEvent{Metadata: made, Planning: true}},
			exports(stacks.Infra.Name, map[string]any{"name": "the-cluster", "later": unknown}),
		},
		stacks.Bootstrap.Name: {exports(stacks.Bootstrap.Name, map[string]any{"namespace": "argocd"})},
	}}
	_, _, err := deployed.With(e, projects(t), "prod", io.Discard).Plan(t.Context(), commit)
	require.NoError(t, err)
	assert.JSONEq(t, "{}", e.handed[stacks.Infra.Name])
	assert.Contains(t, e.handed[stacks.Bootstrap.Name], "the-cluster")
	assert.Equal(t, e.handed[stacks.Bootstrap.Name], e.handed[stacks.Apps.Name])
}

// deaf is a log that takes no line with a text.
type deaf string

func (d deaf) Write(line []byte) (int, error) {
	if strings.Contains(string(line), string(d)) {
		return 0, errors.New("nothing takes the log")
	}
	return len(line), nil
}

func TestUnit_WhatCannotBeLoggedIsNotDone(t *testing.T) {
	t.Parallel()
	random := rand.New(rand.NewPCG(7, 22))
	e := &engine{events: generate(random, false).events(random)}
	repository := projects(t)
	plan, _, err := deployed.With(e, repository, "prod", io.Discard).Plan(t.Context(), commit)
	require.NoError(t, err)
	_, report, err := deployed.With(e, repository, "prod", deaf("== plan of gridos-apps/prod")).Plan(t.Context(), commit)
	require.NoError(t, err)
	assert.Equal(t, []string{"gridos-apps: nothing takes the log"}, report.Errors())
	results, err := deployed.With(e, repository, "prod", deaf("== gridos-bootstrap/prod")).Up(t.Context(), plan, commit, []string{plan.Consent})
	require.ErrorContains(t, err, "nothing takes the log")
	assert.Len(t, results, 1)
	assert.Equal(t, everywhere[:1], e.updated)
}
