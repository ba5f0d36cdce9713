"""What a release consists of besides its images: the wheel, `install.yaml`, the definition and the Helm chart."""
