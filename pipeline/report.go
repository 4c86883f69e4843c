package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"regexp"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/gridos/sharedinfra/internal/changes"
	"github.com/gridos/sharedinfra/internal/cli"
	"github.com/gridos/sharedinfra/pipeline/internal/github"
)

// readReports reads reports that preview, drift, or the lab's diff has printed as JSON.
func readReports(files []string) ([]changes.Report, error) {
	if len(files) == 0 {
		return nil, cli.UsageError{Err: errors.New("name the reports: files that preview, drift or the lab's diff has printed with --json")}
	}
	reports := make([]changes.Report, len(files))
	var mistakes []error
	for i, file := range files {
		text, err := os.ReadFile(file)
		if err == nil {
			err = json.Unmarshal(text, &reports[i])
		}
		if err == nil {
			err = reports[i].Validate()
		}
		var unreadable *fs.PathError
		if errors.As(err, &unreadable) {
			err = unreadable.Err // without the name, which is said once
		}
		if err != nil { // the file's name, too, comes from the report's author
			mistakes = append(mistakes, fmt.Errorf("%q is no report: %w", changes.Loggable(file), err))
		}
	}
	if err := errors.Join(mistakes...); err != nil {
		return nil, err
	}
	return reports, nil
}

func reportCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use: "report FILE...", Short: "Print reports as Markdown, as the comment on a pull request has them",
		Example: "  go run ./pipeline report dev.json test.json prod.json >>\"$GITHUB_STEP_SUMMARY\"\n" +
			"  go run ./pipeline report --whole *.json >whole.md",
	}
	whole := cmd.Flags().Bool("whole", false, "print all changes, for which the comment may have no room")
	cmd.RunE = func(cmd *cobra.Command, files []string) error {
		reports, err := readReports(files)
		if err != nil {
			return err
		}
		if *whole {
			return changes.WriteWhole(cmd.OutOrStdout(), reports)
		}
		return changes.WriteMarkdown(cmd.OutOrStdout(), reports)
	}
	return cmd
}

func guardCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use: "guard FILE...", Short: "Fail when reports have dangerous changes without a consent, or break other teams' programs",
		Long: fmt.Sprintf(`Fails with exit code %d when an update would replace or delete what holds data or carries the environment,
such as the cluster, the database server, the key vault, the virtual network or the registry, or when a chart or an overlay no longer
has a volume, a definition or a namespace in the cluster, unless the pull request has a label
%q with the code of the consent to exactly these changes, which it prints. A label for other changes does not
count. No label allows a change of the outputs that breaks a program which reads them: the exit code is %d then, and
docs/CONSUMING_OUTPUTS.md tells the way. A report with a stack that could not be previewed fails too, because what would change is not
known.`,
			exitDangerous, changes.ConsentPrefix+"…", exitBreaks),
		Example: "  go run ./pipeline guard --labels-of \"$GITHUB_REF\" dev.json test.json prod.json",
	}
	labels := cmd.Flags().StringSlice("labels", nil, "the labels of the pull request, separated by commas")
	labelsOf := cmd.Flags().String("labels-of", "", "the ref of a pull request, such as refs/pull/7/merge, or of a merge queue: GitHub is "+
		"asked for the labels that it has now; needs GITHUB_TOKEN and GITHUB_REPOSITORY")
	cmd.RunE = func(cmd *cobra.Command, files []string) error {
		reports, err := readReports(files)
		if err != nil {
			return err
		}
		if *labelsOf != "" {
			if *labels, err = currentLabels(cmd.Context(), *labelsOf); err != nil {
				return err
			}
		}
		var failed []error
		dangerous := 0
		var codes []string
		out := cmd.OutOrStdout()
		broken := changes.Broken(reports)
		for _, line := range broken {
			if _, err := fmt.Fprintf(out, "Refused: %s\n", changes.Loggable(line)); err != nil {
				return err
			}
		}
		for _, r := range reports {
			for _, text := range r.Errors() {
				for line := range strings.SplitSeq(text, "\n") {
					failed = append(failed, fmt.Errorf("%s: %s", r.Environment, changes.Loggable(line)))
				}
			}
			for _, c := range r.Dangerous() {
				dangerous++
				why := changes.Loggable(c.URN + ": " + strings.Join(c.Reasons, "; "))
				if _, err := fmt.Fprintf(out, "%s: %s %s\n", r.Environment, c.Op, why); err != nil {
					return err
				}
			}
			for _, code := range r.Consents() {
				if !slices.Contains(codes, code) {
					codes = append(codes, code)
				}
			}
		}
		if err := errors.Join(failed...); err != nil {
			return fmt.Errorf("not everything could be previewed: %w", err)
		}
		missing := slices.DeleteFunc(codes, func(code string) bool { return changes.Consented(*labels, code) })
		switch {
		case len(broken) > 0:
			err = verdict(exitBreaks)
		case dangerous == 0:
			_, err = fmt.Fprintln(out, "Nothing dangerous.")
		case len(missing) == 0:
			_, err = fmt.Fprintln(out, "Allowed by labels for exactly these changes.")
		default:
			for _, code := range missing {
				_, told := fmt.Fprintf(out, "The label %s%s would allow it. The person who adds it answers for the data.\n",
					changes.ConsentPrefix, code)
				err = errors.Join(err, told)
			}
			err = errors.Join(err, verdict(exitDangerous))
		}
		return err
	}
	return cmd
}

func consentsCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use: "consents --commit SHA", Short: "Tell the consents to dangerous changes on the pull request that made a commit",
		Args: cobra.NoArgs,
		Long: fmt.Sprintf(`Prints the labels %q of the pull request whose merge made the commit, separated by commas, as
deploy --consent takes them; nothing for a commit that was pushed. In a workflow they are also the output "consents". Needs GITHUB_TOKEN and
GITHUB_REPOSITORY.`, changes.ConsentPrefix+"…"),
		Example: "  go run ./pipeline consents --commit \"$GITHUB_SHA\"",
	}
	commit := cmd.Flags().String("commit", "", "the commit (required)")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if *commit == "" {
			return cli.UsageError{Err: errors.New("name the commit with --commit")}
		}
		client, err := onGitHub()
		if err != nil {
			return err
		}
		labels, err := client.LabelsOfMerged(cmd.Context(), *commit)
		if err != nil {
			return err
		}
		labels = slices.DeleteFunc(labels, func(label string) bool { return !consent.MatchString(label) })
		_, err = fmt.Fprintln(cmd.OutOrStdout(), strings.Join(labels, ","))
		return errors.Join(err, output("consents", strings.Join(labels, ",")))
	}
	return cmd
}

// consent is a label that consents: another form could contain text that a workflow's outputs would
// obey.
var consent = regexp.MustCompile(`^` + changes.ConsentPrefix + `[a-z]+-[0-9a-f]{20}$`)

// currentLabels asks GitHub for the labels of the pull request of a ref.
func currentLabels(ctx context.Context, ref string) ([]string, error) {
	number, err := github.PullRequestOfRef(ref)
	if err != nil {
		return nil, cli.UsageError{Err: err}
	}
	client, err := onGitHub()
	if err != nil {
		return nil, err
	}
	return client.Labels(ctx, number)
}

func againCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use: "again --workflow FILE --job NAME --head-sha SHA", Short: "Start one job of a commit's last run again", Args: cobra.NoArgs,
		Long: `Starts one job of the last run of a workflow for a commit again, with what the other jobs of the run have left. A run
that has not ended is left alone: its job is still to come. Needs GITHUB_TOKEN and GITHUB_REPOSITORY.`,
		Example: "  go run ./pipeline again --workflow infra-test.yml --job guard --head-sha \"$HEAD_SHA\"",
	}
	workflow := cmd.Flags().String("workflow", "", "the file of the workflow (required)")
	job := cmd.Flags().String("job", "", "the name of the job (required)")
	sha := cmd.Flags().String("head-sha", "", "the last commit of the pull request (required)")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if *workflow == "" || *job == "" || *sha == "" {
			return cli.UsageError{Err: errors.New("say what to start again with --workflow, --job and --head-sha")}
		}
		client, err := onGitHub()
		if err != nil {
			return err
		}
		said, err := client.Again(cmd.Context(), *workflow, *job, *sha)
		if err != nil {
			return err
		}
		_, err = fmt.Fprintln(cmd.OutOrStdout(), said)
		return err
	}
	return cmd
}
