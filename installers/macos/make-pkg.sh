#!/bin/sh
# On a Mac, in the unpacked tarball: signs with a Developer ID, packs, notarises.
#   APPLICATION="Developer ID Application: NAME (TEAM)" INSTALLER="Developer ID Installer: NAME (TEAM)" \
#     PROFILE=notary-profile ./make-pkg.sh VERSION
# The profile is made once: xcrun notarytool store-credentials PROFILE --apple-id … --team-id …
set -eu
cd "$(dirname "$0")"
version=${1:?VERSION}
label=org.pilotfish.sidecar
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

codesign --force --options runtime --timestamp --entitlements entitlements.plist \
  --identifier io.pilotfish.pilotfish --sign "${APPLICATION:?}" pilotfish
codesign --verify --strict --verbose=2 pilotfish
PREFIX=$work/payload ./install.sh --lay-out
mkdir "$work/scripts"
cp postinstall "$work/scripts/postinstall"
pkgbuild --root "$work/payload" --scripts "$work/scripts" --identifier "$label" \
  --version "$version" --ownership recommended --install-location / "$work/pilotfish.pkg"
productsign --timestamp --sign "${INSTALLER:?}" "$work/pilotfish.pkg" "pilotfish-$version.pkg"
xcrun notarytool submit "pilotfish-$version.pkg" --keychain-profile "${PROFILE:?}" --wait
xcrun stapler staple "pilotfish-$version.pkg"
spctl --assess --type install --verbose=2 "pilotfish-$version.pkg"
