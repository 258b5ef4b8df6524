/** The rpm of one program: rpmbuild over the same tree and the same steps as the deb. */
import { mkdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { agentOrManager, script, summaries } from './deb.ts';
import { type LinuxRequest, layLinuxTree } from './linux-tree.ts';
import { run } from './run.ts';

/** Path of the package. */
export function buildRpm(request: LinuxRequest): string {
  const { program, target, stamp, outputFolder } = request;
  const tree = layLinuxTree(request, 'rpm');
  const work = join(outputFolder, `rpm-${program}-${target.name}`);
  mkdirSync(work, { recursive: true });
  const spec = join(work, `${program}.spec`);
  writeFileSync(spec, renderSpec(request, tree.folder));
  const defines = {
    _topdir: work,
    _buildhost: 'localhost',
    use_source_date_epoch_as_buildtime: '1',
    clamp_mtime_to_source_date_epoch: '1',
    source_date_epoch_from_changelog: '0',
    _build_id_links: 'none',
    __os_install_post: '%{nil}',
    debug_package: '%{nil}',
    _binary_payload: request.quick ? 'w1.gzdio' : 'w6.xzdio',
  };
  const words = Object.entries(defines).flatMap(([name, value]) => [
    '--define',
    `${name} ${value}`,
  ]);
  run(['rpmbuild', '-bb', '--target', `${target.rpmArch}`, ...words, spec], {
    env: { SOURCE_DATE_EPOCH: String(stamp.epoch), HOME: work },
  });
  const name = `${program}-${stamp.version}-1.${target.rpmArch}.rpm`;
  const output = join(outputFolder, name);
  renameSync(join(work, 'RPMS', `${target.rpmArch}`, name), output);
  rmSync(work, { recursive: true });
  rmSync(tree.folder, { recursive: true });
  return output;
}

function renderSpec({ program, stamp }: LinuxRequest, tree: string): string {
  const sections = ['post', 'preun', 'postun', 'triggerin'].flatMap((name) => {
    const text = script(program, name, 'rpm');
    const head = name === 'triggerin' ? `%triggerin -- ${agentOrManager[program].rpm}` : `%${name}`;
    return text === undefined ? [] : [head, inSpec(text)];
  });
  return `Name: ${program}
Version: ${stamp.version}
Release: 1
Summary: ${summaries[program]}
License: Apache-2.0
AutoReqProv: no
Requires: glibc >= 2.28, libstdc++, libatomic, shadow-utils, coreutils
Provides: ${program} = ${stamp.version}-1

%description
${summaries[program]}.

%install
mkdir -p %{buildroot}
cp -a ${tree}/. %{buildroot}/

%files
%defattr(-,root,root,-)
/usr/bin/${program}
/usr/lib/${program}
/usr/lib/systemd/system/*
/usr/share/bash-completion/completions/*
/usr/share/zsh/site-functions/*
/usr/share/fish/vendor_completions.d/*
/usr/share/man/man1/*
/usr/share/doc/${program}

${sections.join('\n')}
`;
}

/** The shell gives itself; a percent sign would be a macro. */
function inSpec(script: string): string {
  return script.replace(/^#!.*\n/, '').replaceAll('%', '%%');
}
