"""Breaks of what differs between clouds and tenants: each must be noticed."""

from mutant import Mutant

CLOUD_TESTS = "tests/test_clouds.py::"
SHAPES = CLOUD_TESTS + "test_the_whole_chain_in_each_clouds_shape"
CLOUDS = (
    Mutant("the audience is the worldwide one everywhere", "clouds.py",
           'return f"{self.exchange_resource}/.default"\n\n    @property\n    def graph_scope',
           'return "https://outlook.office365.com/.default"\n\n    @property\n    def graph_scope', SHAPES),
    Mutant("Connect names no environment", "cli/wiring.py",
           "exchange_environment=self.cloud.exchange_environment", 'exchange_environment="O365Default"', SHAPES),
    Mutant("an upsert that is refused is not gone round", "graph/client.py",
           "            except refusals.KeyRefused:\n                self._upserts = self._has_unique_name_key = False\n", "", SHAPES),
    Mutant("an upsert that is answered 404 is waited for", "graph/client.py",
           "            except NotYetVisible:  # an upsert", "            except ZeroDivisionError:  # an upsert",
           CLOUD_TESTS + "test_an_upsert_may_be_refused_in_either_form"),
    Mutant("a filter that is refused is not gone round", "graph/client.py",
           'if "UnsupportedQuery" not in fault.code:', "if True:", SHAPES),
    Mutant("the cloud that is meant is not named", "clouds.py",
           "return () if here else names", "return ()", CLOUD_TESTS + "test_a_tenant_of_another_cloud_is_diagnosed"),
    Mutant("a cloud file of any host is taken from the environment", "clouds.py",
           "if not any_host and not cloud.emulated:", "if False:",
           CLOUD_TESTS + "test_a_cloud_file_with_other_hosts_is_taken_by_flag_only"),
)  # fmt: skip
