package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/gridos/sharedinfra/changes"
)

// readReports reads reports that preview, drift, or the lab's diff has printed as JSON.
func readReports(files []string) ([]changes.Report, error) {
	if len(files) == 0 {
		return nil, usageError{errors.New("name the reports: files that preview, drift or the lab's diff has printed with --json")}
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
		if err != nil { // the file's name, too, is of whoever made the report
			mistakes = append(mistakes, fmt.Errorf("%q is no report: %w", changes.Loggable(file), err))
		}
	}
	if err := errors.Join(mistakes...); err != nil {
		return nil, err
	}
	return reports, nil
}

func reportCommand() *cobra.Command {
	return &cobra.Command{
		Use: "report FILE...", Short: "Print reports as Markdown, as the comment on a pull request has them",
		Example: "  go run ./pipeline report dev.json test.json prod.json >>\"$GITHUB_STEP_SUMMARY\"",
		RunE: func(cmd *cobra.Command, files []string) error {
			reports, err := readReports(files)
			if err != nil {
				return err
			}
			return changes.WriteMarkdown(cmd.OutOrStdout(), reports)
		},
	}
}

func guardCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use: "guard FILE...", Short: "Fail when reports have dangerous changes that nobody has consented to",
		Long: fmt.Sprintf(`Fails with exit code %d when an update would replace or delete what holds data or carries the environment,
such as the cluster, the database server, the key vault, the virtual network or the registry, unless the pull request has the label %q. A
report with a stack that could not be previewed fails too: nobody knows what is in it.`, exitDangerous, changes.AllowLabel),
		Example: "  go run ./pipeline guard --labels \"$LABELS\" dev.json test.json prod.json",
	}
	labels := cmd.Flags().StringSlice("labels", nil, "the labels of the pull request, separated by commas")
	cmd.RunE = func(cmd *cobra.Command, files []string) error {
		reports, err := readReports(files)
		if err != nil {
			return err
		}
		var failed []error
		dangerous := 0
		out := cmd.OutOrStdout()
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
		}
		if err := errors.Join(failed...); err != nil {
			return fmt.Errorf("not everything could be previewed: %w", err)
		}
		allowed := slices.Contains(*labels, changes.AllowLabel)
		switch {
		case dangerous == 0:
			_, err = fmt.Fprintln(out, "Nothing dangerous.")
		case allowed:
			_, err = fmt.Fprintf(out, "Allowed by the label %s.\n", changes.AllowLabel)
		default:
			_, err = fmt.Fprintf(out, "The label %s would allow it. Whoever adds it answers for the data.\n", changes.AllowLabel)
			err = errors.Join(err, verdict(exitDangerous))
		}
		return err
	}
	return cmd
}
