package main

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/spf13/cobra"

	"github.com/gridos/sharedinfra/internal/cli"
	"github.com/gridos/sharedinfra/internal/naming"
	"github.com/gridos/sharedinfra/pipeline/internal/checkout"
	"github.com/gridos/sharedinfra/pipeline/internal/delivery"
	"github.com/gridos/sharedinfra/pipeline/internal/overlay"
)

// target adds the flags that name the image of a command, and returns the function that reads them.
func target(cmd *cobra.Command) func(environment string) (delivery.Target, error) {
	image := cmd.Flags().String("image", "", "the image without its tag, such as devgridosacr.azurecr.io/gridos (required)")
	tag := cmd.Flags().String("tag", "", "the tag: the environment, and seven digits of the commit, such as dev-abc1234 (required)")
	digest := cmd.Flags().String("digest", "", "the digest of the image, such as sha256:0123…, as pipeline image push prints it: "+
		"then the overlay names it too")
	return func(environment string) (delivery.Target, error) {
		var mistakes []error
		if _, err := v1.NewHash(*digest); *digest != "" && err != nil {
			mistakes = append(mistakes, fmt.Errorf("--digest %q is no digest; hand over what pipeline image push prints: %w", *digest, err))
		}
		if _, err := name.NewRepository(*image, name.StrictValidation); err != nil {
			mistakes = append(mistakes, fmt.Errorf("--image %q is no image with its registry and without a tag; name one such as "+
				"devgridosacr.azurecr.io/gridos", *image))
		}
		if prefix, _, ok := overlay.Release(*tag); !ok || prefix != environment {
			mistakes = append(mistakes, fmt.Errorf("--tag %q is no tag of the environment %s; name one such as %s-abc1234, with digits of "+
				"a commit's hash", *tag, environment, environment))
		}
		set := overlay.Image{Repository: *image, Tag: *tag, Digest: *digest}
		return delivery.Target{Environment: environment, Image: set}, errors.Join(mistakes...)
	}
}

// remote adds the flag that names where to push.
func remote(cmd *cobra.Command) *string {
	return cmd.Flags().String("remote", "origin", "the checkout's name of the repository that is pushed to")
}

// inCheckout prepares a delivery from the checkout that the command runs in.
func inCheckout(cmd *cobra.Command, remote string) (delivery.Delivery, error) {
	c, err := checkout.Open(cmd.Context(), ".")
	if err != nil {
		return delivery.Delivery{}, cli.UsageError{Err: err}
	}
	return delivery.Delivery{
		Checkout: c, Remote: remote, SetImage: overlay.Kustomize{Root: c.Root}.SetImage, Log: cmd.ErrOrStderr(),
	}, nil
}

func releaseCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use: "release", Short: "Set the image of an environment by a commit, and push that", Args: cobra.NoArgs,
		Long: `Sets the image in the environment's overlay with kustomize edit set image, commits that, and pushes the branch that Argo CD
follows. When others push meanwhile, it starts again from what they have pushed. An image of a later commit is never replaced: the
command fails and says so. When the branch has the image already, nothing is to be done.

It reads Git and no cluster. Whether the release before was aborted is not in Git, so that it is not refused to release on top of one; what
that means is printed.

It begins with what the branch is in the remote, and leaves the working tree and the branches of the checkout alone. Kustomize is
the one that the repository pins: from PATH if the version is that, or else built.`,
		Example: "  go run ./pipeline release --environment dev --image devgridosacr.azurecr.io/gridos --tag dev-abc1234",
	}
	environment := cmd.Flags().String("environment", "", "environment: "+strings.Join(naming.Environments(), ", ")+" (required)")
	branch := cmd.Flags().String("branch", "", "the branch that is pushed to (develop for dev, main for the others)")
	to, wanted := remote(cmd), target(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if !slices.Contains(naming.Environments(), *environment) {
			return cli.UsageError{Err: fmt.Errorf("there is no environment %q; name one of %s with --environment",
				*environment, strings.Join(naming.Environments(), ", "))}
		}
		image, err := wanted(*environment)
		if err != nil {
			return cli.UsageError{Err: err}
		}
		if *branch == "" {
			*branch = branchOf(*environment)
		}
		d, err := inCheckout(cmd, *to)
		if err != nil {
			return err
		}
		d.Run = runOf(os.Getenv)
		released, err := d.Release(cmd.Context(), *branch, image)
		if err != nil {
			return err
		}
		if released.Commit == "" {
			_, err = fmt.Fprintf(cmd.OutOrStdout(), "Nothing to do: branch %s has %s in %s already.\n", *branch, image.Image, *environment)
			return err
		}
		_, err = fmt.Fprintf(cmd.OutOrStdout(), "Pushed %s to branch %s: %s is to run %s.\n%s\n",
			released.Commit, *branch, *environment, image.Image, delivery.OnTopOf(released.Replaced))
		return err
	}
	return cmd
}

// isPromotable says whether the environment before runs an image.
func isPromotable(cmd *cobra.Command, remote string, from delivery.Origin, image delivery.Target, mistakes error) error {
	if mistakes != nil {
		return cli.UsageError{Err: mistakes}
	}
	d, err := inCheckout(cmd, remote)
	if err != nil {
		return err
	}
	if err := d.Promotable(cmd.Context(), from, image); err != nil {
		return err
	}
	_, err = fmt.Fprintf(cmd.OutOrStdout(), "%s may be promoted to %s.\n", image.Image.Tag, image.Environment)
	return err
}

// branchOf is the branch that has the overlay of an environment.
func branchOf(environment string) string {
	if environment == naming.Environments()[0] {
		return "develop"
	}
	return "main"
}

// runOf says who started a workflow, and where its run is, or "" outside of workflows. Source:
// docs.github.com, "Variables reference", default environment variables.
func runOf(variable func(string) string) string {
	actor, id := variable("GITHUB_TRIGGERING_ACTOR"), variable("GITHUB_RUN_ID")
	if actor == "" || id == "" {
		return ""
	}
	return fmt.Sprintf("%s in %s/%s/actions/runs/%s", actor, variable("GITHUB_SERVER_URL"), variable("GITHUB_REPOSITORY"), id)
}

func promoteCommand() *cobra.Command {
	promotable := naming.Environments()[1:]
	cmd := &cobra.Command{
		Use: "promote", Short: "Propose the image and the manifests of an environment for the next one, by a pull request",
		Args: cobra.NoArgs,
		Long: `Sets the image in the overlay of the environment on the branch promote/<environment>, which is the pipeline's own, copies the
manifests of the environment before it (applications/gridos/base for test, applications/gridos/promoted/test for prod), and opens a
pull request with both, or brings the open one up to date. The pull request lists the commits that are new and the manifests that change.
The image must have been copied to the environment's registry before: see image pull and image push. An image that the environment
before does not run is refused, and so is one that it has not had for as long as --soak says; --although promotes it all the same,
and shows the reason in the pull request. Since when it has it is read from Git, which does not tell whether it was healthy: smoke
--serves asks.

With --check it says whether the environment before runs the image, and proposes nothing: ask before the image is copied.

It needs the variables that workflows have, but with --check: GITHUB_TOKEN (with the permissions contents: write and pull-requests: write),
GITHUB_REPOSITORY and GITHUB_API_URL.`,
		Example: "  go run ./pipeline promote --to test --image testgridosacr.azurecr.io/gridos --tag test-abc1234",
	}
	source := cmd.Flags().String("from", "", "the environment that has the image (the one before --to)")
	to := cmd.Flags().String("to", "", "the environment that is to have it: "+strings.Join(promotable, ", ")+" (required)")
	base := cmd.Flags().String("base", "main", "the branch that the pull request is against")
	origin, wanted := remote(cmd), target(cmd)
	branch := cmd.Flags().String("from-branch", "",
		"the branch with the overlay of the environment before (develop for dev, main for the others)")
	although := cmd.Flags().String("although", "",
		"why an image is promoted that the environment before does not run, or not for long enough; the pull request shows it")
	soak := cmd.Flags().Duration("soak", 0, "how long the environment before has to have had the image, such as 30m or 24h")
	check := cmd.Flags().Bool("check", false, "only say whether it may be promoted")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		at := slices.Index(naming.Environments(), *to)
		if at < 1 {
			return cli.UsageError{Err: fmt.Errorf("nothing is promoted to %q; name one of %s with --to",
				*to, strings.Join(promotable, ", "))}
		}
		if *soak < 0 {
			return cli.UsageError{Err: fmt.Errorf("--soak %s is negative; give 0 for an image that may be promoted at once", *soak)}
		}
		before := naming.Environments()[at-1]
		if *source != "" && *source != before {
			return cli.UsageError{Err: fmt.Errorf("%s gets what %s has, not %s; leave --from out", *to, before, *source)}
		}
		if *branch == "" {
			*branch = branchOf(before)
		}
		from := delivery.Origin{Environment: before, Branch: *branch, Although: *although, Soak: *soak}
		image, mistakes := wanted(*to)
		if *check {
			return isPromotable(cmd, *origin, from, image, mistakes)
		}
		client, err := onGitHub()
		if err := errors.Join(mistakes, err); err != nil {
			return cli.UsageError{Err: err}
		}
		d, err := inCheckout(cmd, *origin)
		if err != nil {
			return err
		}
		d.Run = runOf(os.Getenv)
		promoted, err := d.Promote(cmd.Context(), client, from, *base, image)
		if err != nil {
			return err
		}
		if promoted.Already {
			_, err = fmt.Fprintf(cmd.OutOrStdout(), "Nothing to do: branch %s has %s, and the manifests of %s, in %s already.\n",
				*base, image.Image, before, *to)
			return err
		}
		_, err = fmt.Fprintf(cmd.OutOrStdout(), "Pull request %d %s: %s\n",
			promoted.PullRequest.Number, promoted.PullRequest.Action, promoted.PullRequest.URL)
		return err
	}
	return cmd
}
