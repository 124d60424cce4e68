# A formula for a tap of your own. contrib/release.yml fills in HOMEPAGE, SDIST_URL and SDIST_SHA256 at each release and adds
# it to the release's files; copy that one to Formula/sellctl.rb of the tap, then: brew install OWNER/TAP/sellctl
class Sellctl < Formula
  include Language::Python::Virtualenv

  desc "Exit manager for Alpaca accounts: closes each position when a rule says so"
  homepage "HOMEPAGE"
  url "SDIST_URL"
  sha256 "SDIST_SHA256"
  license "MIT"

  depends_on "python@3.13"

  # The packages come from the index, by the hashes in the sdist: pandas and numpy would take an hour to compile.
  def install
    venv = virtualenv_create(libexec, "python3.13", system_site_packages: false)
    system "python3.13", "-m", "pip", "--python", libexec/"bin/python", "install", "--require-hashes",
           "--only-binary", ":all:", "--requirement", "contrib/requirements.lock"
    venv.pip_install_and_link buildpath
    generate_completions_from_executable(bin/"sellctl", shell_parameter_format: :typer)
  end

  service do
    run [opt_bin/"sellctl", "watch", "--format", "log"]
    keep_alive true
    log_path var/"log/sellctl.log"
    error_log_path var/"log/sellctl.log"
  end

  test do
    assert_match version.to_s, shell_output("#{bin}/sellctl --version")
    system bin/"sellctl", "demo"
  end
end
