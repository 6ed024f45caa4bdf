import java.io.IOException;
import java.lang.reflect.Method;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.Map;
import java.util.Set;
import org.elasticsearch.common.logging.LogConfigurator;
import org.elasticsearch.common.settings.Settings;
import org.elasticsearch.env.Environment;
import org.elasticsearch.node.InternalSettingsPreparer;
import org.elasticsearch.node.Node;
import org.elasticsearch.plugins.PluginBundle;
import org.elasticsearch.plugins.PluginsLoader;

/**
 * Runs one Elasticsearch node from its published jars until the process is ended.
 * Usage: TestNode HOME [setting=value]...; HOME has config/log4j2.properties and modules/transport-netty4.
 */
public final class TestNode {
    private TestNode() {}

    public static void main(String[] args) throws Exception {
        Path home = Path.of(args[0]).toAbsolutePath();
        Environment environment = environment(home, Arrays.copyOfRange(args, 1, args.length));
        LogConfigurator.configure(environment, true);
        PluginsLoader plugins =
            PluginsLoader.createPluginsLoader(
                found("loadModulesBundles", home.resolve("modules")),
                found("loadPluginsBundles", home.resolve("plugins")),
                Map.of(),
                false);
        Node node = new Node(environment, plugins);
        Runtime.getRuntime().addShutdownHook(new Thread(() -> close(node)));
        node.start();
        Thread.currentThread().join();
    }

    private static Environment environment(Path home, String[] pairs) throws IOException {
        for (String name : new String[] {"modules", "plugins", "data"}) {
            Files.createDirectories(home.resolve(name));
        }
        Settings.Builder settings = Settings.builder().put("path.home", home);
        for (String pair : pairs) {
            int equals = pair.indexOf('=');
            settings.put(pair.substring(0, equals), pair.substring(equals + 1));
        }
        return InternalSettingsPreparer.prepareEnvironment(
            settings.build(), Map.of(), home.resolve("config"), () -> "test");
    }

    /** By reflection, since Elasticsearch 9 added a flag to these methods: (Path) became (Path, boolean). */
    @SuppressWarnings("unchecked")
    private static Set<PluginBundle> found(String name, Path folder) throws ReflectiveOperationException {
        Method method =
            Arrays.stream(PluginsLoader.class.getMethods())
                .filter(candidate -> candidate.getName().equals(name))
                .findFirst()
                .orElseThrow(() -> new NoSuchMethodException(name));
        Object[] arguments =
            method.getParameterCount() == 1 ? new Object[] {folder} : new Object[] {folder, false};
        return (Set<PluginBundle>) method.invoke(null, arguments);
    }

    private static void close(Node node) {
        try {
            node.close();
        } catch (IOException error) {
            error.printStackTrace();
        }
    }
}
