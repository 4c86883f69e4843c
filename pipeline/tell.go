package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/gridos/sharedinfra/internal/changes"
	"github.com/gridos/sharedinfra/internal/cli"
	"github.com/gridos/sharedinfra/internal/naming"
	"github.com/gridos/sharedinfra/pipeline/internal/github"
)

// The markers by which the pipeline recognises its own texts on GitHub.
const (
	previewMarker = "gridos-preview"
	driftMarker   = "gridos-drift"
	supportMarker = "gridos-support"
)

func onGitHub() (*github.Client, error) {
	settings, err := github.SettingsFrom(os.Getenv)
	if err != nil {
		return nil, cli.UsageError{Err: err}
	}
	return github.New(settings)
}

func commentCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use: "comment --head-sha SHA --head-repository OWNER/NAME FILE...", Short: "Show reports as one comment on a pull request",
		Long: `Writes the reports as a comment on the open pull request whose last commit is SHA, or brings the comment up to date
that it has written before. The comment begins with the commit, the run and the time, and an expected environment without a report is
one that was not previewed. It trusts nothing in the reports: the pull request is looked up by its commit, and nothing that is shown is
taken for Markdown. A pull request that has moved on is left alone. Needs GITHUB_TOKEN and GITHUB_REPOSITORY.`,
		Example: "  go run ./pipeline comment --head-sha \"$HEAD_SHA\" --head-repository \"$HEAD_REPOSITORY\" reports/*.json",
	}
	sha := cmd.Flags().String("head-sha", "", "the last commit of the pull request (required)")
	repository := cmd.Flags().String("head-repository", "", "the repository of its branch, such as owner/name of a fork (required)")
	expected := cmd.Flags().StringSlice("expect", naming.Environments(), "the environments that there should be a report of")
	run := cmd.Flags().String("run", "", "the address of the workflow's run, for the comment to link to")
	cmd.RunE = func(cmd *cobra.Command, files []string) error {
		if *sha == "" || *repository == "" {
			return cli.UsageError{Err: errors.New("say whose reports these are with --head-sha and --head-repository")}
		}
		var reports []changes.Report
		if files = slices.DeleteFunc(files, missing); len(files) > 0 {
			var err error
			if reports, err = readReports(files); err != nil {
				return err
			}
		}
		client, err := onGitHub()
		if err != nil {
			return err
		}
		number, err := client.PullRequestOf(cmd.Context(), *sha, *repository)
		if errors.Is(err, github.ErrNoPullRequest) {
			_, err = fmt.Fprintln(cmd.OutOrStdout(), "The pull request has moved on; its next run comments.")
			return err
		}
		if err != nil {
			return err
		}
		doubt, err := doubtful(cmd.Context(), client, number, *repository)
		if err != nil {
			return err
		}
		body := comment(reports, *expected, *sha, *run, doubt, time.Now())
		result, err := client.UpsertComment(cmd.Context(), number, previewMarker, body)
		if err != nil {
			return err
		}
		_, err = fmt.Fprintf(cmd.OutOrStdout(), "%s %s\n", result.Action, result.URL)
		return err
	}
	return cmd
}

// comment is the Markdown of the reports on a commit, which a run had at a moment.
func comment(reports []changes.Report, expected []string, commit, run, doubt string, at time.Time) string {
	for _, environment := range expected {
		if !slices.ContainsFunc(reports, func(r changes.Report) bool { return r.Environment == environment }) {
			reports = append(reports, changes.Report{Environment: environment, Projects: []changes.Project{{
				Name: "all stacks", Error: "there is no report: the preview failed before it had one, or was cancelled; see the run",
			}}})
		}
	}
	var body bytes.Buffer
	fmt.Fprintf(&body, "Commit %s", commit)
	if run != "" {
		fmt.Fprintf(&body, ", [run](%s)", run)
	}
	fmt.Fprintf(&body, ", %s. After another commit this is out of date.\n\n", at.UTC().Format("2006-01-02 15:04 UTC"))
	if doubt != "" {
		fmt.Fprintf(&body, "> [!IMPORTANT]\n> %s\n\n", doubt)
	}
	_ = changes.WriteMarkdown(&body, reports) // its errors are those of the writer, and a buffer has none
	return body.String()
}

// judges are the folders whose code makes reports, or decides what a report has.
var judges = []string{
	".ci/", ".github/", "internal/changes/", "lab/", "pipeline/", "policy/", "stacks/contract/", "tools/", "Makefile", "go.mod",
}

// doubtful says why a report may not be what the pull request does, or "": reports are made by the
// code of the pull request itself.
func doubtful(ctx context.Context, client *github.Client, number int, repository string) (string, error) {
	if !strings.EqualFold(repository, os.Getenv("GITHUB_REPOSITORY")) {
		return "The pull request comes from a fork, and its own code made what follows: it may say what it likes. Read the change " +
			"itself.", nil
	}
	file, err := client.Touches(ctx, number, judges...)
	if err != nil || file == "" {
		return "", err
	}
	return "The pull request changes the code that made what follows, among others in `" + folderOf(file) +
		"`: it may say what it likes. " +
		"Read that change first.", nil
}

// folderOf returns the one of the judges that a file is in: the author of a file may give it any
// name.
func folderOf(file string) string {
	for _, folder := range judges {
		if strings.HasPrefix(file, folder) {
			return folder
		}
	}
	return "more files than GitHub lists"
}

func driftIssueCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use: "drift-issue --expect ENVIRONMENTS FILE...", Short: "Keep one issue that reports the drift of all environments",
		Long: `Opens an issue for what others have changed, or brings the one up to date that is there. It is closed when every
environment that is expected has a report and none of them has drift; an environment without a report, or with a stack that could
not be read, is not known to be clean. Needs GITHUB_TOKEN and GITHUB_REPOSITORY.`,
		Example: "  go run ./pipeline drift-issue --expect dev,test,prod reports/*.json",
	}
	expected := cmd.Flags().StringSlice("expect", naming.Environments(), "the environments that there should be a report of")
	run := cmd.Flags().String("run", "", "the address of the workflow's run, for the issue to link to")
	cmd.RunE = func(cmd *cobra.Command, files []string) error {
		var reports []changes.Report
		if files = slices.DeleteFunc(files, missing); len(files) > 0 {
			var err error
			if reports, err = readReports(files); err != nil {
				return err
			}
		}
		title, body, open, err := driftIssue(reports, *expected, *run)
		if err != nil {
			return err
		}
		client, err := onGitHub()
		if err != nil {
			return err
		}
		result, err := client.UpsertIssue(cmd.Context(), driftMarker, title, body, []string{"drift"}, open)
		if err != nil {
			return err
		}
		_, err = fmt.Fprintf(cmd.OutOrStdout(), "%s: %s %s\n", title, result.Action, result.URL)
		return err
	}
	return cmd
}

// missing reports that a file does not exist, or is empty. A shell passes on a pattern that matches
// no file, and a command that crashes leaves an empty file.
func missing(file string) bool {
	info, err := os.Stat(file)
	return errors.Is(err, os.ErrNotExist) || err == nil && info.Size() == 0
}

// driftIssue makes the issue of the reports: its title, its Markdown, and whether it is to be open.
func driftIssue(reports []changes.Report, expected []string, run string) (title, body string, open bool, err error) {
	drifted, unknown := []string{}, []string{}
	for _, environment := range expected {
		at := slices.IndexFunc(reports, func(r changes.Report) bool { return r.Environment == environment })
		switch {
		case at < 0 || len(reports[at].Errors()) > 0:
			unknown = append(unknown, environment)
		case len(reports[at].All()) > 0:
			drifted = append(drifted, environment)
		}
		if at >= 0 && !reports[at].Drift {
			return "", "", false, fmt.Errorf("the report of %s tells no drift; name what `pipeline drift --json` has printed", environment)
		}
	}
	var text bytes.Buffer
	switch {
	case len(drifted) > 0:
		title = "Drift in " + strings.Join(drifted, ", ")
	case len(unknown) > 0:
		title = "Drift is not known of " + strings.Join(unknown, ", ")
	default:
		title = "No drift"
	}
	text.WriteString("Resources that Pulumi manages were changed by other means, or could not be read. " +
		"docs/OPERATIONS.md says what to do.\n")
	if len(unknown) > 0 {
		fmt.Fprintf(&text, "\nNot known of: %s.\n", strings.Join(unknown, ", "))
	}
	if run != "" {
		fmt.Fprintf(&text, "\n[The run that found it](%s)\n", run)
	}
	text.WriteByte('\n')
	_ = changes.WriteMarkdown(&text, reports) // its errors are those of the writer, and a buffer has none
	return title, text.String(), len(drifted)+len(unknown) > 0, nil
}
