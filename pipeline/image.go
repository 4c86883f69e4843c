package main

import (
	"errors"
	"fmt"
	"net/url"
	"os"
	"regexp"
	"strings"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/spf13/cobra"

	"github.com/gridos/sharedinfra/internal/cli"
	"github.com/gridos/sharedinfra/pipeline/internal/image"
	"github.com/gridos/sharedinfra/pipeline/internal/provenance"
)

func imageCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use: "image", Short: "Take an image from one registry to another", Args: cobra.NoArgs,
		Long: `Takes an image from one registry to another by way of a folder: each environment's identity may pull from and push to its own
registry only. The digest stays the same, and so do all platforms of an image that is for several. Its signed provenance goes with it. The
credentials are those that az acr login or docker login has left.`,
		Example: `  go run ./pipeline image pull --ref devgridosacr.azurecr.io/gridos:dev-abc1234 --to image
  go run ./pipeline image verify --help
  go run ./pipeline image push --from image --ref testgridosacr.azurecr.io/gridos:test-abc1234`,
		RunE: func(*cobra.Command, []string) error {
			return cli.UsageError{Err: errors.New("say image pull, image verify or image push")}
		},
	}
	cmd.AddCommand(pullCommand(), verifyCommand(), pushCommand())
	return cmd
}

func pullCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use: "pull", Short: "Write an image into a folder, as an OCI layout, and print its digest", Args: cobra.NoArgs,
		Example: "  go run ./pipeline image pull --ref devgridosacr.azurecr.io/gridos:dev-abc1234 --to image",
	}
	ref := cmd.Flags().String("ref", "", "the image with its registry, and a tag or digest (required)")
	dir := cmd.Flags().String("to", "", "the folder, which is not there yet or is empty (required)")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		from, err := name.ParseReference(*ref, name.StrictValidation)
		if err := errors.Join(notImage(*ref, err), needs("--to", *dir)); err != nil {
			return cli.UsageError{Err: err}
		}
		digest, err := image.Pull(cmd.Context(), from, *dir)
		if err != nil {
			return err
		}
		_, err = fmt.Fprintln(cmd.OutOrStdout(), digest)
		return err
	}
	return cmd
}

func verifyCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use: "verify", Short: "Verify by which workflow, from which commit, the image in a folder was built", Args: cobra.NoArgs,
		Long: `Verifies the signed provenance of what image pull has written, and prints the digest of the image. A provenance counts
if GitHub issued the certificate that it is signed with to the workflow, on a runner of GitHub, for the repository, the branch and the
commit; if the signature was made while that certificate was valid, as GitHub's timestamp of it says; and if it names this image's
digest. One that is missing or says something else is refused.

It verifies what GitHub signs for private repositories. For public ones the public Sigstore signs, without a timestamp and with an
entry in a public log, which is not read here. GitHub's keys are those that the trusted roots name: write them with
gh attestation trusted-root.`,
		Example: `  gh attestation trusted-root >roots.jsonl
  go run ./pipeline image verify --from image --trusted-roots roots.jsonl --commit abc1234 --repository https://github.com/<owner>/<name>`,
	}
	dir := cmd.Flags().String("from", "", "the folder that image pull has written (required)")
	file := cmd.Flags().String("trusted-roots", "", "the file that gh attestation trusted-root has written (required)")
	repository := cmd.Flags().String("repository", "", "where the source is, such as https://github.com/owner/name (required)")
	workflow := cmd.Flags().String("workflow", ".github/workflows/ci-cd.yml", "the workflow that builds")
	ref := cmd.Flags().String("ref", "refs/heads/develop", "the branch that it builds")
	commit := cmd.Flags().String("commit", "", "the commit that was built, such as the digits in the image's tag (required)")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		var mistakes []error
		if !isCommit.MatchString(*commit) {
			mistakes = append(mistakes, fmt.Errorf("--commit %q is no beginning of a commit's hash; name seven digits at least", *commit))
		}
		if at, err := url.Parse(*repository); err != nil || at.Scheme != "https" || at.Host == "" || strings.Count(at.Path, "/") != 2 {
			mistakes = append(mistakes, fmt.Errorf("--repository %q is no repository; name one such as "+
				"https://github.com/owner/name", *repository))
		}
		if *file == "" {
			mistakes = append(mistakes, errors.New("--trusted-roots is missing; name the file that gh attestation trusted-root has "+
				"written"))
		}
		if err := errors.Join(append(mistakes, needs("--from", *dir))...); err != nil {
			return cli.UsageError{Err: err}
		}
		text, err := os.ReadFile(*file)
		if err != nil {
			return err
		}
		roots, err := provenance.ReadRoots(text)
		if err != nil {
			return err
		}
		digest, bundles, err := image.Provenance(*dir)
		if err != nil {
			return err
		}
		if err := provenance.Verify(roots, bundles, provenance.Wanted{
			Digest: digest, Repository: *repository, Workflow: *workflow, Ref: *ref, Commit: *commit,
		}); err != nil {
			return err
		}
		_, err = fmt.Fprintln(cmd.OutOrStdout(), digest)
		return err
	}
	return cmd
}

// isCommit is the hash of a commit, or its beginning, as a tag has it.
var isCommit = regexp.MustCompile(`^[0-9a-f]{7,40}$`)

func pushCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use: "push", Short: "Push what image pull has written, and print its digest", Args: cobra.NoArgs,
		Long: `Pushes what image pull has written. When the registry has it under that tag already, nothing is to be done; when the tag is
something else there, the command fails: a tag names one image for ever. With --keep it prints the digest of what is there instead: a
second attempt of a workflow builds other bytes of the same commit, and takes those of the first.`,
		Example: "  go run ./pipeline image push --from image --ref testgridosacr.azurecr.io/gridos:test-abc1234",
	}
	dir := cmd.Flags().String("from", "", "the folder that image pull has written (required)")
	ref := cmd.Flags().String("ref", "", "the image with its registry and a tag (required)")
	keep := cmd.Flags().Bool("keep", false, "take what the tag is already, whatever that is")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		to, err := name.NewTag(*ref, name.StrictValidation)
		if err := errors.Join(notImage(*ref, err), needs("--from", *dir)); err != nil {
			return cli.UsageError{Err: err}
		}
		digest, err := image.Push(cmd.Context(), *dir, to)
		if taken := (*image.TakenError)(nil); *keep && errors.As(err, &taken) {
			fmt.Fprintf(cmd.ErrOrStderr(), "%s is there already, and is kept.\n", to)
			digest, err = taken.There, nil
		}
		if err != nil {
			return err
		}
		_, err = fmt.Fprintln(cmd.OutOrStdout(), digest)
		return err
	}
	return cmd
}

func notImage(ref string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("--ref %q names no image; name one such as devgridosacr.azurecr.io/gridos:dev-abc1234: %w", ref, err)
}

func needs(flag, value string) error {
	if value == "" {
		return fmt.Errorf("%s is missing; name a folder", flag)
	}
	return nil
}
