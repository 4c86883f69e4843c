import * as yaml from "js-yaml";

interface Kubeconfig {
  users?: { name: string; user?: { exec?: { command?: string; args?: string[] } } }[];
}

/** Sets every user that runs kubelogin to sign in by mode; AKS hands out a mode that waits for a person at a browser. */
export function signInWithKubelogin(text: string, mode: string): string {
  const config = yaml.safeLoad(text) as Kubeconfig;
  let changed = false;
  for (const { user } of config.users ?? []) {
    if (user?.exec?.command === "kubelogin") {
      user.exec.args = withLogin(user.exec.args ?? [], mode);
      changed = true;
    }
  }
  return changed ? yaml.safeDump(config) : text;
}

/** Replaces the value after --login, or adds both. */
function withLogin(args: string[], mode: string): string[] {
  const isLogin = (arg: string | undefined) => arg === "--login" || arg === "-l";
  return [...args.filter((arg, i) => !isLogin(arg) && !isLogin(args[i - 1])), "--login", mode];
}
