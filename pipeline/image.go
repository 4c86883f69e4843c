package main

import (
	"errors"
	"fmt"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/spf13/cobra"

	"github.com/gridos/sharedinfra/pipeline/internal/image"
)

func imageCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use: "image", Short: "Take an image from one registry to another", Args: noArgs,
		Long: `Takes an image from one registry to another by way of a folder: each environment's identity may pull from and push to its own
registry only. The digest stays the same, and so do all platforms of an image that is for several. The credentials are those that
az acr login or docker login has left.`,
		Example: `  go run ./pipeline image pull --ref devgridosacr.azurecr.io/gridos:dev-abc1234 --to image
  go run ./pipeline image push --from image --ref testgridosacr.azurecr.io/gridos:test-abc1234`,
		RunE: func(*cobra.Command, []string) error { return usageError{errors.New("say image pull or image push")} },
	}
	cmd.AddCommand(pullCommand(), pushCommand())
	return cmd
}

func pullCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use: "pull", Short: "Write an image into a folder, as an OCI layout, and print its digest", Args: noArgs,
		Example: "  go run ./pipeline image pull --ref devgridosacr.azurecr.io/gridos:dev-abc1234 --to image",
	}
	ref := cmd.Flags().String("ref", "", "the image with its registry, and a tag or digest (required)")
	dir := cmd.Flags().String("to", "", "the folder, which is not there yet or is empty (required)")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		from, err := name.ParseReference(*ref, name.StrictValidation)
		if err := errors.Join(notImage(*ref, err), needs("--to", *dir)); err != nil {
			return usageError{err}
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

func pushCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use: "push", Short: "Push what image pull has written, and print its digest", Args: noArgs,
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
			return usageError{err}
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
