# A minimal Debian. The archive beside this file is made by hack/images/base from Debian's packages.
FROM scratch
ADD rootfs.tar /
CMD ["bash"]
